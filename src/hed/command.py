"""What every command of `scripts/` has in common: it reports mistakes and stops quietly."""

import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence

from hed import modules
from hed.errors import InputError

# The system does not say which file these are about.
FULL = (errno.ENOSPC, errno.EDQUOT)


def run(main: Callable[[], None]) -> None:
    """Run a command's `main`; a user's mistake ends it with one sentence and exit status 1.

    So does a file without permission to read or write, and a full disk.

    Ctrl-C ends the process at once, as in a shell pipeline: long steps are inside TensorFlow,
    where Python would not see it for minutes.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _keep()
    try:
        main()
        sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # The reader (`head`, a pager) is gone; nothing more is wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        sys.exit(f"error: {sentence(error)}")
    finally:
        _keep()


def _keep() -> None:
    """Never look for garbage in what there is by now, which in large libraries takes a second.

    A process that goes on to other commands has to.
    """
    if not modules.SERVED.get():
        gc.freeze()


def sentence(error: OSError) -> str:
    """Return what the system refused, and where."""
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}"


def reason(said: Sequence[str]) -> str:
    """Return why a command failed: the first error that it printed, or else its last line."""
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    words = [line.strip() for line in said if line.strip()]
    return (errors[:1] or words[-1:] or ["it ended without a word"])[0]
