"""The directory of the profile that Snakemake is reading, so that a copy uses its own files."""

import inspect
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType

import hed
from hed import variables
from hed.errors import InputError

SITE = "site.yaml"
# The commands through which Snakemake talks to the pilot, and a run to its tile.
PILOT = Path(hed.__file__).parent / "pilot" / "tools"
# With which the pilot stops Snakemake, as Ctrl-C does. Not SIGINT: Snakemake ignores it where a
# script has started it in the background. `tools/alive` spells it.
STOP = signal.SIGUSR2
# Seconds until the next attempt, where the first has come at a bad moment.
AGAIN = 0.05


def enter() -> Path:
    """Return the directory of the profile whose config.yaml calls this, and tell the sidecar.

    From now on the signal `STOP` stops this process, which is Snakemake's. Snakemake does not tell
    a profile its path, but has the file open while it reads it.

    Raises:
        InputError: if no profile is being read, or it has no site.yaml.
    """
    frame = inspect.currentframe()
    while frame is not None:
        name = getattr(frame.f_locals.get("stream"), "name", None)
        if isinstance(name, str) and Path(name).is_file():
            return _enter(Path(name).parent.absolute())
        frame = frame.f_back
    raise InputError("no profile is being read: start Snakemake with --profile DIRECTORY")


def _enter(directory: Path) -> Path:
    if not (directory / SITE).is_file():
        raise InputError(f"{directory} has no {SITE}: copy that of the profile it was made from")
    os.environ[variables.PROFILE] = str(directory)
    with suppress(ValueError):  # not in the main thread, so a program has started Snakemake
        signal.signal(STOP, _stop)
    return directory


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop this process as Ctrl-C does.

    Once, for while it ends a second signal would kill it. And not amid the coroutines with which
    Snakemake finishes a job: they would go on later, and end Snakemake a second time.
    """
    from asyncio import get_running_loop  # Snakemake has it, other users of this module need not

    try:
        get_running_loop()
    except RuntimeError:
        signal.signal(STOP, signal.SIG_IGN)
        raise KeyboardInterrupt from None
    again = threading.Timer(AGAIN, os.kill, (os.getpid(), STOP))
    again.daemon = True
    again.start()
