"""PALS's mpiexec in front of MPICH's: mpiexec.py HYDRA ON_NODE [OPTION...] COMMAND...

It takes the options of PALS, of which Hydra knows few, and gives each rank PALS_RANKID and
PALS_LOCAL_RANKID. It refuses what PALS refuses, such as --bind-to.
"""

import argparse
import os
import sys
from collections.abc import Sequence

# Binding and network options, which mean nothing here.
IGNORED = ("--cpu-bind", "--mem-bind", "--gpu-bind", "-d", "--depth", "--pmi", "--network")
IGNORED_FLAGS = ("--no-vni", "--line-buffer", "--envall", "--exclusive")
RANK = 'PALS_RANKID=$PMI_RANK PALS_LOCAL_RANKID=$MPI_LOCALRANKID exec "$@"'


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options and the command."""
    parser = argparse.ArgumentParser(prog="mpiexec", allow_abbrev=False)
    parser.add_argument("-n", "-np", "--np", dest="count", default="1")
    parser.add_argument("-ppn", "--ppn")
    parser.add_argument("-f", "--hostfile", default=os.environ.get("PBS_NODEFILE"))
    parser.add_argument("--hosts")
    parser.add_argument("--wdir", default=os.getcwd())
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("-l", "--label", action="store_true")
    for option in IGNORED:
        parser.add_argument(option)
    for option in IGNORED_FLAGS:
        parser.add_argument(option, action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args(words)


def translate(options: argparse.Namespace) -> list[str]:
    """Return Hydra's options."""
    words = ["-n", options.count, "-wdir", options.wdir]
    if options.ppn:
        words += ["-ppn", options.ppn]
    if options.hosts:
        words += ["-hosts", options.hosts]
    elif options.hostfile:
        words += ["-f", options.hostfile]
    for pair in options.env:
        words += ["-genv", *pair.split("=", 1)]
    return words + ["-l"] * options.label


def environment(on_node: str) -> dict[str, str]:
    """Return what makes Hydra enter nodes and MPICH connect them by loopback.

    MPICH's other network layer, UCX, sees through the nodes that they share one machine.
    """
    return {
        "HYDRA_LAUNCHER": "ssh",
        "HYDRA_LAUNCHER_EXEC": on_node,
        "MPICH_CH4_NETMOD": "ofi",
        "FI_PROVIDER": "tcp",
        "FI_TCP_IFACE": "lo",
    }


def main(hydra: str, on_node: str, *words: str) -> None:
    """Become Hydra."""
    options = parse(words)
    argv = [hydra, *translate(options), "sh", "-c", RANK, "sh", *options.command]
    os.execve(hydra, argv, os.environ | environment(on_node))


if __name__ == "__main__":
    main(*sys.argv[1:])
