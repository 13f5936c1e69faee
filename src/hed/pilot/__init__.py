"""Fill blocks of many nodes with runs, one per tile: a dispatcher behind Snakemake.

Snakemake starts `sidecar`, which watches `dispatcher`, which holds Parsl; each of the two releases
all blocks when the other dies. `worker` and `guard` execute one run on a tile.
They communicate through files in the spool directory (`spool`).
"""
