"""Models that any claim about Uno has to beat, on the same partitions: CANDLE models like Uno.

`{"model": "hed.baselines.ridge"}` in DFLTS, or in a UPF line, runs one of them on any machine.
`fitted` is what they share.
"""
