"""Checks that a node has what runs need, before all of them fail for the same reason.

`inspection` goes through the checks: of the node (`node`), of the disks (`disks`), and a `trial`
of what a run does on its tile, which starts `probe` in the training software.
"""
