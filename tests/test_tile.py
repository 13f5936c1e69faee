"""The tile of a run: its environment, and the launcher that binds a science command to it."""

import os
import subprocess
from pathlib import Path

import pytest
from spools import read_site

from hed.pilot import tile
from hed.site.profile import PILOT
from hed.site.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return read_site(tmp_path)


def test_a_tile_is_named_in_the_words_of_the_site(site: Site) -> None:
    tiles = tile.of(site)
    found = tile.environment(tiles, 11, {"PBS_JOBID": "17.server", "PATH": "/bin"})
    assert found["ZE_AFFINITY_MASK"] == "5.1"
    assert found["ZE_FLAT_DEVICE_HIERARCHY"] == "COMPOSITE"
    assert (found["HED_BLOCK"], found["PATH"]) == ("17.server", "/bin")
    assert tile.environment(tiles, 0, {"PARSL_WORKER_BLOCK_ID": "3"})["HED_BLOCK"] == "block-3"


def bind(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a science command on a tile."""
    full = [str(PILOT / "tile"), *command]
    known = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(full, env=known, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("mask", "hierarchy", "words"),
    [
        ("", "FLAT", "names no device"),
        ("0,1", "FLAT", "names several devices (0,1)"),
        ("3", "COMPOSITE", "ZE_AFFINITY_MASK=3 is a GPU of two tiles"),
    ],
)
def test_a_mask_that_is_not_one_tile_is_refused(mask: str, hierarchy: str, words: str) -> None:
    more = {"ZE_AFFINITY_MASK": mask, "ZE_FLAT_DEVICE_HIERARCHY": hierarchy}
    done = bind("echo", "trained", HED_DEVICE_VARIABLE="ZE_AFFINITY_MASK", **more)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_science_command_gets_the_environment_but_keeps_its_tile(tmp_path: Path) -> None:
    script = tmp_path / "modules.sh"
    script.write_text("export ZE_AFFINITY_MASK=0,1,2 MODULE=tensorflow\n")
    more = {"HED_DEVICE_VARIABLE": "ZE_AFFINITY_MASK", "ZE_AFFINITY_MASK": "7"}
    show = 'echo "$ZE_AFFINITY_MASK $MODULE $1"'
    done = bind("bash", "-c", show, "-", "two words", HED_ENVIRONMENT=str(script), **more)
    assert done.stdout == "7 tensorflow two words\n"


def test_an_environment_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "modules.sh").write_text("false\n")
    done = bind("echo", "trained", HED_ENVIRONMENT=str(tmp_path / "modules.sh"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path}/modules.sh failed\n"
