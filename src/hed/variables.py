"""The environment variables through which the processes of an experiment communicate.

All of them, and nothing else begins with `HED_`: Python takes the names from here, shell scripts
spell them out, and a test reads both. They link the graph, the pilot and the science.
"""

from dataclasses import dataclass

EXPERIMENT = "HED_EXPERIMENT"
PROFILE = "HED_PROFILE"
LAUNCHER = "HED_LAUNCHER"
WARM = "HED_WARM"
FORKS = "HED_FORKS"
SPOOL = "HED_SPOOL"
BLOCK_START = "HED_BLOCK_START"
ERRORS = "HED_ERRORS"
DATA = "HED_DATA"
STAGED = "HED_STAGED"
LOCAL = "HED_LOCAL"
SOFTWARE = "HED_SOFTWARE"
ENVIRONMENT = "HED_ENVIRONMENT"
BLOCK = "HED_BLOCK"
TILE = "HED_TILE"
DEVICE_VARIABLE = "HED_DEVICE_VARIABLE"
DEVICES = "HED_DEVICES"
PILOT_PERIOD = "HED_PILOT_PERIOD"
STAGE_START = "HED_STAGE_START"


@dataclass(frozen=True)
class Meaning:
    """Who sets a variable, who reads it, and what its value means."""

    set_by: str
    read_by: str
    value: str


MEANINGS = {
    EXPERIMENT: Meaning("the outer Snakemake", "inner Snakemakes", "the experiment's directory"),
    PROFILE: Meaning("the profile's config.yaml", "the sidecar", "the profile's directory"),
    LAUNCHER: Meaning("the outer Snakemake", "the pilot", "what starts a science command"),
    WARM: Meaning(
        "Snakemake on a laptop, a tile's worker",
        "the client of the warm servers",
        "directory of their sockets; its name ends with the process that they live as long as; "
        "unset: all is cold",
    ),
    FORKS: Meaning("keepers", "workers", "socket of the node's fork server; unset: there is none"),
    SPOOL: Meaning("the script of a block", "keepers, workers, guards", "the pilot's directory"),
    BLOCK_START: Meaning("the script of a block", "keepers", "when it began, in s since 1970"),
    ERRORS: Meaning("the script of a block", "keepers", "file of a node's errors before Python"),
    DATA: Meaning("the script of a block", "trainings, scorings", "the data set that was copied"),
    STAGED: Meaning("the script of a block", "trainings, scorings", "its copy on this node"),
    LOCAL: Meaning("the script of a block", "environment.sh", "where the software was unpacked"),
    SOFTWARE: Meaning("the script of a block", "environment.sh", "name of that software"),
    ENVIRONMENT: Meaning("a tile's worker", "pilot/tools/tile", "script to source first, or ''"),
    BLOCK: Meaning("a tile's worker", "rank.txt, the pilot's records", "id of the block's job"),
    TILE: Meaning("a tile's worker", "rank.txt, the pilot's records", "the tile's mask"),
    DEVICE_VARIABLE: Meaning(
        "a tile's worker", "pilot/tools/tile", "name of the variable that binds a device, or ''"
    ),
    DEVICES: Meaning("a tile's worker", "trainings, scorings", "how many devices there must be"),
    PILOT_PERIOD: Meaning("tests", "the dispatcher", "s between two signs of life of a node"),
    STAGE_START: Meaning("tests", "hed.staging", "s in which MPI must have connected all nodes"),
}


def table() -> list[str]:
    """Return the lines of a Markdown table of all variables."""
    lines = ["| variable | set by | read by | value |", "|---|---|---|---|"]
    for name, meaning in MEANINGS.items():
        lines.append(f"| `{name}` | {meaning.set_by} | {meaning.read_by} | {meaning.value} |")
    return lines
