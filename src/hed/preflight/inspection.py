"""All checks of a node, one after the other."""

from collections.abc import Iterator
from pathlib import Path

from hed.preflight import disks, node, trial
from hed.preflight.checks import Result, attempt
from hed.preflight.disks import Places
from hed.site.site import Site


def inspect(
    site: Site, places: Places, *, tools: Path, mask: str | None = None
) -> Iterator[Result]:
    """Yield what each check finds; one that fails or hangs does not stop the others.

    Args:
        site: the settings of this node.
        places: where runs read and write.
        tools: directory of the wrapper of a tile.
        mask: of the tile to try; None: the first.

    Raises:
        InputError: if the site has no such tile.
    """
    rank = trial.rank_of(site, mask)
    for check in (*node.checks(site), *disks.checks(site, places)):
        yield attempt(check)
    told = trial.run(site, rank, tools)
    for check in trial.checks(site, told):
        yield attempt(check)
