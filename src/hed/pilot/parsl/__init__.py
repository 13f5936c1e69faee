"""The only interface to Parsl, of which the pilot mostly uses undocumented parts.

No other module imports it. `setup` makes the executor of a site's blocks, `executor` is a typed
version of it, `providers` request blocks from schedulers, `launcher` starts a worker pool on each
node. tests/test_parsl.py checks what they assume.
"""
