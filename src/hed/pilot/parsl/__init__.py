"""The one door to Parsl, most of whose insides the pilot uses are not documented.

No other module imports it. `setup` makes the executor of a site's blocks, `executor` is that, with
types, `providers` ask schedulers for blocks, `launcher` starts a worker pool on each node. What
they take for granted, tests/test_parsl.py checks.
"""
