"""What becomes of a job that Parsl is done with."""

import errno
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Timer
from types import SimpleNamespace
from typing import IO, Any

import pytest
from parsl.executors.high_throughput.errors import ManagerLost, VersionMismatch, WorkerLost

from hed.pilot import dispatcher, journal, reminder
from hed.pilot.blocks import Hopeless
from hed.pilot.dispatcher import Jobs
from hed.pilot.reminder import Complaint
from hed.pilot.spool import End, Spool, State
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS

LOST = ManagerLost(b"pool", "n0")
TILES = Tiles(("0",), "", "", False, "", "/tmp", silence=3 * 3600)


class Executor:
    """Takes jobs, and ends them when the test says so."""

    heartbeat = 0.2
    heartbeat_limit = 1
    why_ended = None
    is_dead = False

    def __init__(self) -> None:
        self.given: list[tuple[str, int, bool]] = []
        self.futures: list[Future[End]] = []

    def run(self, function: Any, *arguments: Any, urgent: bool) -> Future[End]:
        _, job, attempt, *_ = arguments
        self.given.append((job, attempt, urgent))
        self.futures.append(Future())
        return self.futures[-1]


class Stale(Spool):
    """A spool on a file system that remembers for a while that a state was not there."""

    def state(self, job: str) -> State | None:
        return None


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool of a job that was taken."""
    made = Spool.make(tmp_path / ".pilot")
    (made.directory / "queue" / "job").write_text("/script.sh\n")
    return made


@pytest.fixture
def executor() -> Executor:
    return Executor()


def give(spool: Spool, executor: Executor) -> Jobs:
    """Give the executor the job."""
    jobs = Jobs(spool, executor, TILES)
    jobs.give("job", "/script.sh")
    return jobs


def lose(jobs: Jobs, executor: Executor, error: Exception = LOST) -> None:
    """Have the job lose its tile, and wait until it may have another."""
    executor.futures[-1].set_exception(error)
    jobs.settle()
    time.sleep(executor.heartbeat)
    jobs.settle()


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_state_that_is_not_seen_yet_stays_as_the_tile_recorded_it(
    spool: Spool, executor: Executor, state: State
) -> None:
    jobs = give(Stale(spool.directory), executor)
    executor.futures[0].set_result(spool.settle("job", state))
    jobs.settle()
    assert spool.state("job") == state


def test_a_job_that_lost_its_tile_goes_on_before_others_but_not_at_once(
    spool: Spool, executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = give(spool, executor)
    executor.futures[0].set_exception(LOST)
    jobs.settle()
    assert executor.given == [("job", 0, False)]
    assert spool.is_lost("job", 0)
    time.sleep(executor.heartbeat)
    jobs.settle()
    assert executor.given[1:] == [("job", 1, True)]
    executor.futures[1].set_result("lost")
    jobs.settle()
    assert (spool.state("job"), spool.queued()) == (None, [("job", "/script.sh")])
    assert (
        "job job lost its tile and continues on another: n0 does not answer any more" in caplog.text
    )


def test_a_disk_that_fails_for_a_moment_loses_no_job(
    spool: Spool, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[float]:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    jobs = give(spool, executor)
    executor.futures[0].set_exception(LOST)
    with monkeypatch.context() as full:
        full.setattr(Spool, "losses", fail)
        with pytest.raises(OSError, match="quota"):
            jobs.settle()
        with pytest.raises(OSError, match="quota"):
            jobs.accept("other", "/other.sh")
    jobs.settle()
    assert executor.given[1:] == [("other", 0, False)]
    time.sleep(executor.heartbeat)
    jobs.settle()
    assert executor.given[2:] == [("job", 1, True)]
    executor.futures[2].set_result("success")
    with monkeypatch.context() as full:
        full.setattr(Spool, "settle", fail)
        with pytest.raises(OSError, match="quota"):
            jobs.settle()
    jobs.settle()
    assert spool.state("job") == "success"


def test_the_dispatcher_goes_on_when_its_disk_does_and_says_once_what_it_waits_for(
    spool: Spool,
    executor: Executor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks: list[None] = []

    def fail(self: Spool) -> Iterator[tuple[str, str]]:
        looks.append(None)
        if len(looks) < 4:
            raise OSError(errno.ESHUTDOWN, "Cannot send after transport endpoint shutdown")
        os.close(end)
        yield "new", "/new.sh"

    start, end = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(start))
    monkeypatch.setattr(Spool, "take", fail)
    blocks = SimpleNamespace(executor=executor, ended=SimpleQueue())
    dispatcher.dispatch(spool, blocks, ())  # type: ignore[arg-type]
    assert [job for job, *_ in executor.given] == ["job", "new"]
    (told,) = (r.getMessage() for r in caplog.records if r.name == "hed.pilot")
    assert told.endswith("jobs wait: Cannot send after transport endpoint shutdown")
    assert spool.signed() > 0


def test_a_run_that_comes_when_all_are_being_ended_gets_their_reason(
    spool: Spool,
    executor: Executor,
    monkeypatch: pytest.MonkeyPatch,
    stdin: IO[bytes],  # which stays open
) -> None:
    def end(*_: object, urgent: bool) -> Future[End]:
        executor.why_ended = Hopeless("no block can start")  # type: ignore[assignment]
        raise executor.why_ended

    monkeypatch.setattr(os, "_exit", sys.exit)
    monkeypatch.setattr(executor, "run", end)
    blocks = SimpleNamespace(executor=executor, ended=SimpleQueue())
    with pytest.raises(SystemExit, match=str(journal.REFUSED)):
        dispatcher.dispatch(spool, blocks, ())  # type: ignore[arg-type]


def test_jobs_of_an_earlier_dispatcher_survive_a_disk_that_fails_at_the_start(
    spool: Spool, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spool.directory / "queue" / "another").write_text("/another.sh\n")
    losses, looks = Spool.losses, iter(range(100))

    def fail_once(self: Spool, job: str) -> list[float]:
        if next(looks) == 1:
            raise OSError(errno.EIO, "Input/output error")
        return losses(self, job)

    monkeypatch.setattr(Spool, "losses", fail_once)
    jobs = Jobs(spool, executor, TILES)
    with pytest.raises(OSError, match="Input"):
        jobs.take()
    jobs.settle()
    jobs.take()
    assert sorted(job for job, *_ in executor.given) == ["another", "job"]


def test_the_runs_of_a_block_that_has_ended_go_on_when_their_processes_are_gone(
    spool: Spool,
    executor: Executor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "TIMERS", replace(TIMERS, kill_grace=0.2))
    jobs = give(spool, executor)
    executor.heartbeat = 300
    spool.begin("job", "3")
    jobs.give("other", "/script.sh")
    spool.begin("other", "4")
    jobs.lose_block("3")
    jobs.settle()
    assert executor.given[2:] == []
    time.sleep(0.2)
    jobs.settle()
    assert executor.given[2:] == [("job", 1, True)]
    assert "job job lost its tile and continues on another: block 3 has ended" in caplog.text
    # Parsl notices much later, when the run has long been another tile's.
    executor.futures[0].set_exception(LOST)
    jobs.settle()
    assert spool.losses("job") == pytest.approx([0], abs=60)
    executor.futures[2].set_result("success")
    jobs.settle()
    assert spool.state("job") == "success"


def test_a_message_names_the_run_and_what_it_holds_out(
    spool: Spool, executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    script = spool.directory / "job.sh"
    script.write_text("snakemake --target-jobs 'train:run=RUN013' 'score:run=RUN013'\n")
    jobs = Jobs(spool, executor, TILES)
    for _ in range(2):
        jobs.give("job", str(script))
        executor.futures[-1].set_exception(LOST)
        jobs.settle()
        record = {"runs": [{"id": "RUN013", "held_out": "Dasatinib"}]}
        (spool.directory.parent / "experiment.json").write_text(json.dumps(record))
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("RUN013 lost its tile and continues on another: ")
    assert lines[1].startswith("RUN013 (Dasatinib) lost its tile and continues on another: ")


def test_a_run_that_wrote_nothing_goes_on_elsewhere_and_the_message_says_why(
    spool: Spool, executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = give(spool, executor)
    executor.futures[-1].set_result("silent")
    jobs.settle()
    assert spool.state("job") is None
    assert "another: it had written nothing for 3 h (silence in site.yaml)" in caplog.text


def test_blocks_that_cannot_be_managed_are_told_of_at_growing_intervals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def balance(self) -> None:
            raise OSError(5, "Input/output error")

    now, trouble = [1000.0], Complaint()
    monkeypatch.setattr(reminder.time, "monotonic", lambda: now[0])
    for _ in range(3600):
        dispatcher._balance(Broken(), trouble)  # type: ignore[arg-type]
        now[0] += 1
    told = [each for each in caplog.records if each.levelname == "WARNING"]
    assert 2 <= len(told) <= 4


def test_a_job_that_is_cancelled_or_has_ended_meanwhile_is_not_repeated(
    spool: Spool, executor: Executor
) -> None:
    jobs = give(spool, executor)
    (spool.directory / "cancel" / "job").touch()
    lose(jobs, executor)
    assert (spool.state("job"), spool.unfinished()) == ("failed", [])
    jobs.give("other", "/script.sh")
    spool.settle("other", "success")
    lose(jobs, executor, WorkerLost(0, "n0"))
    assert (spool.state("other"), len(executor.given)) == ("success", 2)


def test_a_job_that_fails_by_itself_is_not_repeated(spool: Spool, executor: Executor) -> None:
    lose(give(spool, executor), executor, OSError("no space left"))
    assert (spool.state("job"), len(executor.given)) == ("failed", 1)


@pytest.mark.parametrize(("seconds", "most"), [(0, TIMERS.quick_losses), (3600, TIMERS.lost_tiles)])
def test_a_job_that_loses_every_tile_counts_as_failed(
    spool: Spool, executor: Executor, seconds: int, most: int
) -> None:
    executor.heartbeat = 0
    jobs = give(spool, executor)
    for _ in range(most):
        assert spool.state("job") is None
        (spool.directory / "begun" / "job").write_text(f"{time.time() - seconds}\n")
        lose(jobs, executor)
    assert (spool.state("job"), len(executor.given)) == ("failed", most)


@pytest.mark.parametrize(
    ("why", "told"),
    [(VersionMismatch("3.11", "3.10"), "3.10 does not match"), (Hopeless("no"), "")],
)
def test_parsl_s_reason_to_give_up_is_told_if_it_is_not_the_pilot_s_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: Exception, told: str
) -> None:
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit, match=str(journal.REFUSED)):
        dispatcher._refuse(why)
    assert told in caplog.text
    assert len(caplog.records) == bool(told)


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[bytes]]:
    """The other end of standard input."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as read, os.fdopen(writing, "wb") as write:
        monkeypatch.setattr(sys, "stdin", read)
        yield write


def test_no_block_is_asked_for_before_it_is_known_what_it_copies(
    stdin: IO[bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record, start = tmp_path / "experiment.json", time.monotonic()
    Timer(0.5, record.touch).start()
    dispatcher._await_record(record)
    assert 0.5 <= time.monotonic() - start < 60
    assert caplog.records == []


def test_a_record_that_never_comes_is_told_but_not_if_the_pilot_ends(
    stdin: IO[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stdin.close()
    dispatcher._await_record(tmp_path / "experiment.json")
    assert caplog.records == []
    monkeypatch.setattr(dispatcher, "TIMERS", replace(TIMERS, record_wait=0.0))
    monkeypatch.setattr("select.select", lambda *_: ([], [], []))
    dispatcher._await_record(tmp_path / "experiment.json")
    assert "experiment.json, so the runs read from the shared file system" in caplog.text
