"""What the tiles of a cluster did for an experiment: which run, where, from when to when."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

# Below an experiment, the files of the pilot of a cluster profile; readable only by its owner.
PILOT = ".pilot"
TILES = "tiles"

# job, run, block, node, tile, start and end (seconds since 1970), state (success or failed).
Record = Mapping[str, str | float]


def append(pilot: Path, node: str, record: Record) -> None:
    """Append what a tile of a node did; lines of several processes do not interleave."""
    line = f"{json.dumps(dict(record))}\n".encode()
    with suppress(OSError), (pilot / TILES / f"{node}.txt").open("ab", buffering=0) as stream:
        stream.write(line)


def read(pilot: Path) -> list[dict[str, Any]]:
    """Return what the tiles did, in order of the start.

    Raises:
        ValueError: if a line is truncated.
    """
    paths = (pilot / TILES).glob("*.txt")
    records = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return sorted(records, key=lambda record: float(record["start"]))
