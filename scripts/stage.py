#!/usr/bin/env python3
"""For the graph: copy data and software to every node's own disk, reading each byte once.

Blocks start it as `python -m hed.staging`, which --help explains.
"""

from hed import command
from hed.staging.__main__ import main

if __name__ == "__main__":
    command.run(main)
