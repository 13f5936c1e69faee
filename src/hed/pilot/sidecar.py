"""The process that Snakemake starts beside itself: it keeps the dispatcher alive as needed.

`python -m hed.pilot.sidecar SITE TOOLS`, in the experiment's directory. Its first line of output
is the spool directory. It ends with Snakemake, however that dies, and no block outlives it.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from hed import command, lock, variables
from hed.errors import InputError
from hed.names import RECORD
from hed.pilot import allocation, journal, processes, release, spool
from hed.pilot.journal import REFUSED
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS, QuickDeaths
from hed.site import capacity
from hed.site import site as sites
from hed.site.profile import STOP
from hed.site.site import Site

log = logging.getLogger("hed.pilot")

# A SIGHUP ignored because of `nohup`, or a SIGINT ignored because the shell started this in the
# background, stays ignored; SIGTERM is how Snakemake ends the sidecar.
SIGNALS = (
    signal.SIGTERM,
    *(n for n in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN),
)

# Characters of a path that mean something to a shell or to a directive of a job's script.
SPECIAL = re.compile(r"[^\w@%+=:,./-]")


class Ended(Exception):
    """Snakemake has ended, or tells the sidecar to."""


def main() -> None:
    """Serve one start of Snakemake."""
    parent = os.getppid()
    processes.die_with_parent(parent, signal.SIGTERM)
    site_file, tools = (Path(argument) for argument in sys.argv[1:])
    _on_signals(_end)
    with _told(parent, signal.SIGTERM):
        _refuse_launcher(site_file.parent)
        _refuse_directory(Path.cwd())
        refusal = _refusal(sites.read(site_file))
        # An experiment that was started before may be finished and need no block.
        if refusal and not (Path.cwd() / RECORD).exists():
            raise refusal
        place = _open(Path.cwd() / spool.NAME, parent)
    # After the first line, Snakemake would take SIGTERM as a request to wait for its jobs.
    with _told(parent, STOP):
        print(place.directory, flush=True)
        if refusal:
            _await_job(place, parent)
            raise refusal
        serve(place, site_file, tools, parent=parent)


@contextmanager
def _told(parent: int, number: int) -> Iterator[None]:
    """End when Snakemake does; report an error and stop Snakemake with this signal."""
    try:
        yield
    except Ended:
        sys.exit(0)
    except (InputError, OSError) as error:
        _on_signals(signal.SIG_IGN)
        told = command.sentence(error) if isinstance(error, OSError) else error
        print(f"error: {told}", file=sys.stderr, flush=True)
        processes.stop_snakemake(parent, number)
        # Otherwise a job that it is submitting would report that the pilot has ended.
        time.sleep(TIMERS.sidecar_look)
        sys.exit(1)


def _refuse_launcher(profile: Path) -> None:
    """Refuse to run science commands that would find neither their device nor their software.

    Raises:
        InputError: if there is no launcher; Snakemake's --configfile replaces the profile's.
    """
    if os.environ.get(variables.LAUNCHER) == "":
        raise InputError(
            "launcher is empty, but on a tile each science command needs `tile`: --configfile "
            "replaces the profile's own, so name both, as in "
            f"--configfile {profile / 'run.yaml'} my.yaml"
        )


def _refuse_directory(experiment: Path) -> None:
    """Refuse an experiment whose blocks' scripts neither a scheduler nor Parsl would find.

    Raises:
        InputError: if its path has a space, or another character that means something to a shell.
    """
    if found := SPECIAL.search(str(experiment)):
        raise InputError(
            f"{experiment} has a {found[0]!r}, and qsub, sbatch and Parsl take no path with spaces "
            "or special characters: choose another directory (output, experiment)"
        )


def _refusal(site: Site) -> InputError | None:
    """Return why the scheduler would refuse the blocks, None if it would accept them."""
    try:
        _refuse(site)
    except InputError as error:
        return error
    return None


def _await_job(place: Spool, parent: int) -> None:
    """Wait until Snakemake has a job for a block; raise Ended if it ends without one."""
    while not place.unfinished():
        if os.getppid() != parent:
            raise Ended
        time.sleep(TIMERS.sidecar_look / 10)


def _refuse(site: Site) -> None:
    """Refuse blocks that the scheduler would refuse; inside an allocation none is requested.

    Raises:
        InputError: if there is no account, or the queue takes no such blocks.
    """
    here = allocation.within(site)
    if here.scheduler != "local":
        sites.require_account(here)
        capacity.refuse(here, here.max_blocks * here.nodes_per_block * here.tiles_per_node)


def _open(directory: Path, parent: int) -> Spool:
    """Return the spool, once no other sidecar holds it, cleared of what a dead one left."""
    place = Spool.make(directory)
    journal.start(place)
    _held.append(_lock(directory, parent))
    clear(place)
    place.tell_sidecar(os.getpid(), parent)
    return place


def _lock(directory: Path, parent: int) -> IO[str]:
    """Lock the spool, as soon as a sidecar whose Snakemake has ended has released its blocks.

    Raises:
        InputError: if that takes too long, or another Snakemake runs the experiment.
    """
    experiment, end, told = directory.parent, time.monotonic() + TIMERS.blocks_return, False
    while not lock.is_held_by_another(experiment, parent):
        if (held := lock.acquire(directory)) is not None:
            return held
        if time.monotonic() > end:
            raise InputError(
                f"the blocks of {experiment.name} are still being released by "
                f"{lock.holder(directory)}; start Snakemake again when it has ended"
            )
        if not told:
            log.warning("waiting for %s, which releases its blocks", lock.holder(directory))
            told = True
        time.sleep(TIMERS.sidecar_look)
    # The other's results are not in the plan of this start, which would repeat them.
    raise InputError(lock.refusal(experiment))


# Open for as long as this process lives.
_held: list[object] = []


def clear(place: Spool, *, repeat: bool = False) -> None:
    """Release every block that is left.

    Args:
        place: the spool.
        repeat: leave the jobs to the next dispatcher, rather than record that they have failed.
    """
    if repeat:
        # What still runs on a block ends silently when it notices.
        with suppress(OSError):  # a disk that is full must not keep the blocks
            for job in place.begun():
                place.lose(job)
    with suppress(OSError):
        place.forget_nodes()
    for job, how in place.blocks().items():
        if release.give_back(job, how):
            with suppress(OSError):
                place.remove_block(job)
        else:
            log.warning("job %s could not be released; it ends when its workers notice", job)
    if not repeat:
        place.fail_unfinished()


def serve(place: Spool, site_file: Path, tools: Path, *, parent: int) -> None:
    """Keep a dispatcher alive until Snakemake ends."""
    deaths, hopeless = QuickDeaths(TIMERS.quick_dispatchers, TIMERS.quick_dispatcher), False
    while not hopeless:
        started = time.monotonic()
        dispatcher = _start(site_file, place, tools)
        try:
            _watch(dispatcher, parent)
            lived = time.monotonic() - started
            if dispatcher.returncode == REFUSED:
                # Before it sees that all its jobs have failed, and reports each.
                processes.stop_snakemake(parent)
        finally:
            _finish(dispatcher, place)
        if dispatcher.returncode == REFUSED:
            sys.exit(1)
        log.warning("the dispatcher died (%s): its runs are repeated", dispatcher.returncode)
        hopeless = deaths.add(lived)
    raise InputError(f"the pilot cannot run; {place.directory / 'parsl'} has its logs")


def _start(site_file: Path, place: Spool, tools: Path) -> subprocess.Popen[bytes]:
    """Start the dispatcher in a session of its own, out of reach of the terminal's Ctrl-C."""
    arguments = [str(site_file), str(place.directory), str(tools)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with (place.directory / "parsl" / "dispatcher.txt").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "hed.pilot.dispatcher", *arguments],
            stdin=subprocess.PIPE,
            stdout=out,
            env=environment,
            start_new_session=True,
        )


def _watch(dispatcher: subprocess.Popen[bytes], parent: int) -> None:
    """Wait until the dispatcher dies; raise Ended when Snakemake does."""
    while dispatcher.poll() is None:
        if os.getppid() != parent:
            raise Ended
        time.sleep(TIMERS.sidecar_look)


def _finish(dispatcher: subprocess.Popen[bytes], place: Spool) -> None:
    """Have the dispatcher release its blocks; release them here if it does not.

    The jobs of a dispatcher that died are left to the next.

    Raises:
        Ended: if Snakemake told the sidecar to end meanwhile.
    """
    told: list[int] = []
    _on_signals(lambda number, frame: told.append(number))
    died = dispatcher.poll() not in (None, REFUSED)
    assert dispatcher.stdin is not None
    dispatcher.stdin.close()
    try:
        dispatcher.wait(TIMERS.dispatcher_end)
    except subprocess.TimeoutExpired:
        log.warning("the dispatcher does not end and is killed")
    processes.kill_group(dispatcher.pid)
    dispatcher.wait()
    clear(place, repeat=died)
    _on_signals(_end)
    if told and died:  # Snakemake says it once, and then waits for the end of this process
        raise Ended


def _on_signals(action: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Do this when the sidecar is told to end."""
    for number in SIGNALS:
        signal.signal(number, action)


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended


if __name__ == "__main__":
    main()
