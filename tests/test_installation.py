"""The package works from an ordinary installation, away from its checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECK = """
import os, hed, importlib.resources as r
from pathlib import Path
from hed import results
from hed.config import hyperparameters
from hed.pilot import script
from hed.site import site
from hed.site.profile import PILOT
assert Path(hed.__file__).is_relative_to(os.environ["PYTHONPATH"]), hed.__file__
assert all(os.access(PILOT / name, os.X_OK) for name in ("submit", "status", "cancel", "tile"))
assert script.SOURCES == Path(os.environ["PYTHONPATH"])
assert hyperparameters.definition() and site.definition()
assert (r.files("hed.answers.report") / "templates" / "page.html").is_file()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it, from a copy of its sources."""
    place = tmp_path_factory.mktemp("installation")
    source, target = place / "source", place / "site-packages"
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", source / "src", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--offline"]
    options = ["--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*uv, *options, "--target", target, source], check=True)
    return target


def test_it_has_all_its_files_and_finds_them(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", CHECK]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)


def test_a_block_copies_with_what_is_installed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "features").write_bytes(b"features")
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "hed.staging", "--to", tmp_path / "to", tmp_path / "features"]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    assert (tmp_path / "to" / "features").read_bytes() == b"features"
