"""Fill blocks of many nodes with runs, one per tile: a dispatcher behind Snakemake.

`sidecar` is what Snakemake starts and watches `dispatcher`, which holds Parsl; each of the two
gives all blocks back when the other dies. `worker` and `guard` run one run on a tile.
What they know of each other is files in the spool directory (`spool`).
"""
