"""The command as a user types it in the checkout, with all that it writes below a place."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from waiting import PATIENCE

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "tests" / "models"


def snakemake(
    place: Path, *settings: str, options: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Type the command with settings; all that it prints is its stdout.

    Args:
        place: directory for its output and its partitions; `upf.json` and `dflts.json` there are
            used.
        settings: `key=value`, as after --config.
        options: other options, such as -n.
    """
    places = [f"output={place}/output", f"local_dir={place}/local"]
    inputs = [f"{key}={place}/{key}.json" for key in ("upf", "dflts")]
    used = [given for given in inputs if Path(given.partition("=")[2]).is_file()]
    binaries = Path(sys.executable).parent
    return subprocess.run(
        [f"{binaries}/snakemake", "--cores=2", *options, "--config", *places, *used, *settings],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(MODELS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def told(place: Path, *settings: str, options: Sequence[str] = ()) -> str:
    """Return what the command prints, which succeeds."""
    done = snakemake(place, *settings, options=options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def refused(place: Path, *settings: str, options: Sequence[str] = ("-n",)) -> str:
    """Return the sentence of a command that is refused, without a traceback."""
    done = snakemake(place, *settings, options=options)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    (sentence,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    return sentence
