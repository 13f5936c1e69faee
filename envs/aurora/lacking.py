#!/usr/bin/env python3
"""Print the part of a lock that this Python lacks: `lacking.py ADDED.in ADDED.lock`.

What is installed stays as it is, since TensorFlow was built for it; only a package that ADDED.in
names is taken from the lock where its major version here is another.
"""

import re
import sys
from importlib import metadata
from pathlib import Path


def normal(name: str) -> str:
    """Return the name of a package as locks spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """Return name and version of each package here; the first on the path is the one imported."""
    found: dict[str, str] = {}
    for package in metadata.distributions():
        if package.metadata["Name"]:
            found.setdefault(normal(package.metadata["Name"]), package.version)
    return found


def entries(lock: str) -> list[tuple[str, str]]:
    """Return name and text of each entry of a lock; a name has one for each of several Pythons."""
    texts = re.findall(r"^[A-Za-z0-9].*\n(?:[ \t].*\n)*", lock, re.MULTILINE)
    return [(normal(re.split(r"[=\[ ]", text, maxsplit=1)[0]), text) for text in texts]


def is_lacking(name: str, entry: str, here: dict[str, str], named: set[str]) -> bool:
    """Return whether an entry is to be installed."""
    if name not in here:
        return True
    locked = entry.partition("==")[2]
    return name in named and here[name].split(".")[0] != locked.split(".")[0]


def main() -> None:
    """Print the entries."""
    names, lock = (Path(argument).read_text() for argument in sys.argv[1:])
    named = {normal(name) for name in re.findall(r"^[A-Za-z0-9._-]+", names, re.MULTILINE)}
    here = installed()
    for name, entry in entries(lock):
        if is_lacking(name, entry, here, named):
            print(entry, end="")


if __name__ == "__main__":
    main()
