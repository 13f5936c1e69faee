"""Which blocks are asked for, which are given back, and when the command gives up."""

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from parsl.jobs.states import JobState, JobStatus

from hed.pilot.executor import Blocks
from hed.pilot.providers import Local
from hed.pilot.refusals import Refused
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS

HOOK = Refused("qsub", 32, "no")


class Provider(Local):
    """A provider that refuses every block with `error`, and remembers what is given back."""

    error: Exception = HOOK
    said, answers = "", True
    launch: float | None = None

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.cancelled: list[str] = []

    def submit(self, command: str, tasks_per_node: int, job_name: str = "block") -> str:
        raise self.error

    def cancel(self, job_ids: Any) -> list[bool]:
        self.cancelled += job_ids
        return [self.answers for _ in job_ids]

    def launched(self, job: str) -> float | None:
        return self.launch

    def comment(self, job: str) -> str:
        return self.said


@pytest.fixture
def executor(tmp_path: Path) -> Blocks:
    provider = Provider(max_blocks=2, nodes_per_block=2)
    made = Blocks(address="127.0.0.1", provider=provider, max_workers_per_node=3)
    made.spool = Spool.make(tmp_path / ".pilot")
    made.launch_cmd = "true"
    return made


def put(executor: Blocks, *states: JobState) -> None:
    """Let there be blocks 0, 1, ... in these states, as jobs 0.server and so on."""
    for number, state in enumerate(states):
        block = str(number)
        executor.blocks_to_job_id[block] = f"{block}.server"
        executor._status[block] = JobStatus(state)


def pool(block: str, node: str, tasks: int = 0) -> dict[str, Any]:
    """Return what Parsl says of the worker pool of a node."""
    state = {"tasks": tasks, "worker_count": 3, "draining": False, "active": True}
    return {"block_id": block, "manager": f"{node}-1234abcd", **state}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the pilot has told a person; other tests may have Parsl say more."""
    ours = (r for r in caplog.records if r.name == "hed.pilot" and r.levelno == logging.WARNING)
    return [record.getMessage() for record in ours]


def refuse(executor: Blocks, error: Exception, times: int) -> None:
    """Ask for a block several times, each time after the wait."""
    executor.provider.error = error
    for _ in range(times):
        executor._next_try = 0.0
        executor.scale_out_facade(2)


def test_after_a_refusal_no_block_is_asked_for_until_a_while_later(executor: Blocks) -> None:
    executor.scale_out_facade(2)
    executor.scale_out_facade(2)
    assert executor._refusals == 1


def test_refusals_that_pass_never_fail_the_runs(executor: Blocks) -> None:
    refuse(executor, Refused("qsub", 38, "limit"), 9)
    assert not executor.bad_state_is_set


def test_a_refusal_that_never_passes_ends_the_command_at_once(executor: Blocks) -> None:
    refuse(executor, Refused("qsub", 170, "qsub: Unknown queue"), 1)
    assert executor.bad_state_is_set
    assert "qsub refused a block (qsub: Unknown queue)" in str(executor.executor_exception)


def test_refusals_fail_the_runs_only_if_no_block_works(executor: Blocks) -> None:
    executor._status["999"] = JobStatus(JobState.RUNNING)
    refuse(executor, HOOK, 9)
    refuse(executor, Refused("qsub", 170, "qsub: Unknown queue"), 1)
    assert not executor.bad_state_is_set
    executor._status["999"] = JobStatus(JobState.COMPLETED)
    refuse(executor, HOOK, 1)
    assert executor.bad_state_is_set


def test_an_outage_is_told_at_growing_intervals(
    executor: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told = []
    for _ in range(600):  # A weekend.
        refuse(executor, Refused("qsub", 162, "cannot connect to server"), 1)
        now[0] = executor._next_try
        told += [now[0]] * len(warnings(caplog))
        caplog.clear()
    assert 40 < len(told) < 60
    assert [b - a for a, b in zip(told, told[1:], strict=False)][-1] >= 3600
    refuse(executor, Refused("qsub", 173, "Queue is not enabled"), 1)
    assert "the queue is closed for now: Queue is not enabled); waiting" in caplog.text


def test_blocks_that_end_before_their_workers_start_fail_the_runs(executor: Blocks) -> None:
    put(executor, *[JobState.COMPLETED] * 4)
    states = {"0": JobStatus(JobState.COMPLETED), "1": JobStatus(JobState.MISSING)}
    refused = {"9": JobStatus(JobState.MISSING)}
    executor.handle_errors({**states, **refused, "2": JobStatus(JobState.MISSING)})
    assert not executor.bad_state_is_set
    more = {"2": JobStatus(JobState.MISSING), "3": JobStatus(JobState.MISSING, "Can Never Run")}
    executor.handle_errors({**states, **more})
    assert executor.bad_state_is_set
    assert "block 3 (job 3.server) ended before its workers started: Can Never Run" in str(
        executor.executor_exception
    )


@pytest.mark.parametrize(
    ("launched", "limit", "minutes"), [(None, "COPYING", 20), (1.0, "SILENT", 4)]
)
def test_a_block_that_runs_without_a_worker_pool_is_given_back_with_one_warning(
    executor: Blocks,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    launched: float | None,
    limit: str,
    minutes: int,
) -> None:
    put(executor, JobState.PENDING, JobState.RUNNING, JobState.RUNNING)
    executor.provider.launch = launched
    pools = [pool("1", "n0")]
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    executor._end_silent(pools)
    now[0] += 60 * minutes - 1
    executor._end_silent(pools)
    assert executor.provider.cancelled == []
    now[0] += 2
    for _ in range(3):
        executor._end_silent(pools)
        executor.handle_errors(executor._status)
    assert executor.provider.cancelled == ["2.server"]
    (told,) = warnings(caplog)
    assert told.startswith(f"block 2 (job 2.server) has run for {minutes} min without a worker")


def test_a_block_that_has_ended_is_told_of_once(executor: Blocks) -> None:
    put(executor, JobState.RUNNING, JobState.COMPLETED, JobState.FAILED)
    executor._lose_ended()
    executor._lose_ended()
    assert [executor.ended.get_nowait() for _ in range(executor.ended.qsize())] == ["1", "2"]


def test_a_node_on_which_no_run_begins_is_left_alone_and_the_rest_of_its_block_works(
    executor: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held: list[str] = []
    monkeypatch.setattr(executor, "_hold_manager", held.append)
    put(executor, JobState.RUNNING)
    pools = [pool("0", "n0", 3), pool("0", "n1")]
    executor.spool.report_node("0", "n1", "OSError: no space")
    executor.spool.report_node("7", "n1", "of an earlier dispatcher")
    for _ in range(2):
        executor._leave_nodes(pools)
        executor._end_useless(pools)
    assert set(held) == {"n1-1234abcd"}
    assert warnings(caplog) == [
        "node n1 of block 0 (job 0.server) begins no run and is left alone: OSError: no space"
    ]
    assert executor.provider.cancelled == []
    # Its three tiles are not counted on: those of n0 are busy.
    assert executor._free("0", pools, 6) == 0


def test_a_block_without_a_node_that_takes_runs_is_given_back_and_a_few_end_the_command(
    executor: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(TIMERS.useless_blocks):
        assert not executor.bad_state_is_set
        put(executor, *[JobState.COMPLETED] * number, JobState.RUNNING)
        block = str(number)
        executor.spool.report_node(block, "n0", "OSError: no space")
        executor._leave_nodes([])
        executor._end_useless([])
        assert executor.provider.cancelled[number:] == []
        executor.spool.report_node(block, "n1", "OSError: no space")
        for _ in range(3):
            executor._leave_nodes([])
            executor._end_useless([])
        assert executor.provider.cancelled[number:] == [f"{block}.server"]
        assert executor._next_try > time.monotonic()
        executor.handle_errors(executor._status)
    assert executor.bad_state_is_set
    told = warnings(caplog)
    assert told[0].startswith(
        "block 0 (job 0.server) has no node on which a run begins (n0: OSError: no space)"
    )
    assert len(told) == TIMERS.useless_blocks
    assert "has no node on which a run begins (n0: OSError" in str(executor.executor_exception)


def test_a_block_that_cannot_be_given_back_now_is_tried_again_without_a_word(
    executor: Blocks, caplog: pytest.LogCaptureFixture
) -> None:
    put(executor, JobState.RUNNING)
    executor.provider.answers = False
    for _ in range(3):
        executor._end("0", "is of no use")
    assert executor.provider.cancelled == ["0.server"] * 3
    assert len(warnings(caplog)) == 1
    assert executor._live() == ["0"]
    executor.provider.answers = True
    executor._end("0", "is of no use")
    assert executor._live() == []


def test_a_block_whose_good_nodes_have_ended_does_not_wait_for_the_others(
    executor: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_hold_manager", lambda manager: None)
    put(executor, JobState.RUNNING)
    executor._free("0", [pool("0", "n0")], 6)
    executor.spool.report_node("0", "n1", "OSError: no space")
    executor._leave_nodes([])
    executor._end_useless([])
    assert executor.provider.cancelled == ["0.server"]
    assert not executor._useless


def test_in_the_reserve_of_an_allocation_no_block_is_started_and_the_command_ends(
    executor: Blocks,
) -> None:
    executor.last_start = time.monotonic() - 1
    assert executor.scale_out_facade(1) == []
    assert executor._refusals == 0
    assert not executor._is_over(waiting=0)
    put(executor, JobState.RUNNING)
    assert not executor._is_over(waiting=3)
    put(executor, JobState.COMPLETED)
    assert executor._is_over(waiting=3)
    assert "the same command in another one goes on" in str(executor.executor_exception)


def test_what_a_block_waits_for_is_told(
    executor: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(executor, JobState.PENDING)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    executor.provider.said = "Not Running: Queue not started."
    for _ in range(24 * 60):  # A day.
        executor._say_what_waits()
        now[0] += 60
    told = warnings(caplog)
    assert 20 < len(told) < 30
    assert told[0] == "block 0 (job 0.server) waits in the queue: Not Running: Queue not started."
