"""Which blocks are asked for, which are given back, and when the command gives up."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parsl.jobs.states import JobState, JobStatus
from parsl.providers.errors import ScriptPathError

from hed.pilot.blocks import Blocks
from hed.pilot.parsl.executor import Executor, Pool
from hed.pilot.parsl.providers import Local
from hed.pilot.refusals import Refused
from hed.pilot.scaling import Limits
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS

HOOK = Refused("qsub", 32, "no")
UNWRITABLE = ScriptPathError("block.sh", OSError(122, "Disk quota exceeded"))


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
def blocks(tmp_path: Path) -> Blocks:
    provider = Provider(max_blocks=2, nodes_per_block=2)
    executor = Executor(address="127.0.0.1", provider=provider, max_workers_per_node=3)
    executor.launch_cmd = "true"
    return Blocks(executor, Spool.make(tmp_path / ".pilot"), Limits(0, 0, 2, tiles=6))


def put(blocks: Blocks, *states: JobState, message: str | None = None) -> None:
    """Let there be blocks 0, 1, ... in these states, as jobs 0.server and so on."""
    for number, state in enumerate(states):
        block = str(number)
        blocks.executor.blocks_to_job_id[block] = f"{block}.server"
        blocks.executor._status[block] = JobStatus(state, message)


def pool(block: str, node: str, tasks: int = 0) -> Pool:
    """Return the worker pool of a node."""
    return Pool(f"{node}-1234abcd", block, tasks, workers=3, is_active=True, is_draining=False)


def reason(blocks: Blocks) -> str:
    """Return why the command ends."""
    return str(blocks.executor.why_ended)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the pilot has told a person; other tests may have Parsl say more."""
    ours = (r for r in caplog.records if r.name == "hed.pilot" and r.levelno == logging.WARNING)
    return [record.getMessage() for record in ours]


def refuse(blocks: Blocks, error: Exception, times: int) -> None:
    """Ask for a block several times, each time after the wait."""
    blocks.executor.provider.error = error
    for _ in range(times):
        blocks._next_try = 0.0
        blocks.ask_for(2)


def test_after_a_refusal_no_block_is_asked_for_until_a_while_later(blocks: Blocks) -> None:
    blocks.ask_for(2)
    blocks.ask_for(2)
    assert blocks._refusals == 1


def test_refusals_that_pass_never_fail_the_runs(blocks: Blocks) -> None:
    refuse(blocks, Refused("qsub", 38, "limit"), 9)
    assert blocks.executor.why_ended is None


def test_after_days_of_refusals_the_next_request_still_waits(blocks: Blocks) -> None:
    blocks._refusals = 2000
    refuse(blocks, Refused("qsub", 38, "limit"), 1)
    assert blocks._next_try - time.monotonic() > TIMERS.longest_retry - 10


def test_a_refusal_that_never_passes_ends_the_command_at_once(blocks: Blocks) -> None:
    refuse(blocks, Refused("qsub", 170, "qsub: Unknown queue"), 1)
    assert blocks.executor.why_ended
    assert "qsub refused a block (qsub: Unknown queue)" in reason(blocks)


def test_refusals_fail_the_runs_only_if_no_block_works(blocks: Blocks) -> None:
    blocks.executor.blocks_to_job_id["999"] = "999.server"
    blocks.executor._status["999"] = JobStatus(JobState.RUNNING)
    refuse(blocks, HOOK, 9)
    refuse(blocks, Refused("qsub", 170, "qsub: Unknown queue"), 1)
    assert blocks.executor.why_ended is None
    blocks.executor._status["999"] = JobStatus(JobState.COMPLETED)
    refuse(blocks, HOOK, 1)
    assert blocks.executor.why_ended


def test_an_outage_is_told_at_growing_intervals(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told = []
    for _ in range(600):  # A weekend.
        refuse(blocks, Refused("qsub", 162, "cannot connect to server"), 1)
        now[0] = blocks._next_try
        told += [now[0]] * len(warnings(caplog))
        caplog.clear()
    assert 40 < len(told) < 60
    assert [b - a for a, b in zip(told, told[1:], strict=False)][-1] >= 3600
    refuse(blocks, Refused("qsub", 173, "Queue is not enabled"), 1)
    assert "the queue is closed for now: Queue is not enabled); waiting" in caplog.text


def test_blocks_that_end_before_their_workers_start_fail_the_runs(blocks: Blocks) -> None:
    put(blocks, *[JobState.COMPLETED] * 4)
    put(blocks, JobState.COMPLETED, JobState.MISSING, JobState.MISSING)
    blocks.executor._status["9"] = JobStatus(JobState.MISSING)  # refused
    blocks._judge_unused()
    assert blocks.executor.why_ended is None
    put(blocks, JobState.COMPLETED, *[JobState.MISSING] * 3, message="Can Never Run")
    blocks._judge_unused()
    assert blocks.executor.why_ended
    assert "block 3 (job 3.server) ended before its workers started: Can Never Run" in reason(
        blocks
    )


def test_a_block_whose_last_words_are_not_utf_8_ends_like_any_other(
    blocks: Blocks, tmp_path: Path
) -> None:
    errors = tmp_path / "block.stderr"
    errors.write_bytes(b"starting\n\x95\xdbLPV: No such file or directory\n")
    put(blocks, *[JobState.MISSING] * 3)
    for status in blocks.executor._status.values():
        status.stderr_path = str(errors)
    blocks._judge_unused()
    assert "ended before its workers started: \ufffd\ufffdLPV: No such file" in reason(blocks)


@pytest.mark.parametrize(("launched", "minutes"), [(None, 20), (1.0, 4)])
def test_a_block_that_runs_without_a_worker_pool_is_given_back_with_one_warning(
    blocks: Blocks,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    launched: float | None,
    minutes: int,
) -> None:
    put(blocks, JobState.PENDING, JobState.RUNNING, JobState.RUNNING)
    blocks.executor.provider.launch = launched
    pools = [pool("1", "n0")]
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    blocks._end_silent(pools)
    of_nodes = 2 * TIMERS.silent_node if launched else 0
    now[0] += 60 * minutes + of_nodes - 1
    blocks._end_silent(pools)
    assert blocks.executor.provider.cancelled == []
    now[0] += 2
    for _ in range(3):
        blocks._end_silent(pools)
        blocks._judge_unused()
    assert blocks.executor.provider.cancelled == ["2.server"]
    (told,) = warnings(caplog)
    assert told.startswith(f"block 2 (job 2.server) has run for {minutes} min without a worker")


def test_a_block_that_has_ended_is_told_of_once(blocks: Blocks) -> None:
    put(blocks, JobState.RUNNING, JobState.COMPLETED, JobState.FAILED)
    blocks._lose_ended()
    blocks._lose_ended()
    assert [blocks.ended.get_nowait() for _ in range(blocks.ended.qsize())] == ["1", "2"]


def test_a_node_on_which_no_run_begins_is_left_alone_and_the_rest_of_its_block_works(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held: list[str] = []
    monkeypatch.setattr(blocks.executor, "_hold_manager", held.append)
    put(blocks, JobState.RUNNING)
    pools = [pool("0", "n0", 3), pool("0", "n1")]
    blocks._spool.report_node("0", "n1", "OSError: no space")
    blocks._spool.report_node("7", "n1", "of an earlier dispatcher")
    for _ in range(2):
        blocks._leave_nodes(pools)
        blocks._end_useless(pools)
    assert set(held) == {"n1-1234abcd"}
    assert warnings(caplog) == [
        "node n1 of block 0 (job 0.server) cannot start runs and is left alone: OSError: no space"
    ]
    assert blocks.executor.provider.cancelled == []
    # Its three tiles are not counted on: those of n0 are busy.
    assert blocks._free("0", pools) == 0


def test_a_block_without_a_node_that_takes_runs_is_given_back_and_a_few_end_the_command(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(TIMERS.useless_blocks):
        assert blocks.executor.why_ended is None
        put(blocks, *[JobState.COMPLETED] * number, JobState.RUNNING)
        block = str(number)
        blocks._spool.report_node(block, "n1", "OSError: no space")
        blocks._leave_nodes([])
        blocks._end_useless([])
        assert blocks.executor.provider.cancelled[number:] == []
        blocks._spool.report_node(block, "n0", "OSError: no space")
        for _ in range(3):
            blocks._leave_nodes([])
            blocks._end_useless([])
        assert blocks.executor.provider.cancelled[number:] == [f"{block}.server"]
        assert blocks._next_try > time.monotonic()
        blocks._judge_unused()
    assert blocks.executor.why_ended
    told = warnings(caplog)
    assert told[0].startswith(
        "block 0 (job 0.server) has no node that can start a run (n0: OSError: no space)"
    )
    assert len(told) == TIMERS.useless_blocks
    assert "has no node that can start a run (n0: OSError" in reason(blocks)


def test_a_block_that_cannot_be_given_back_now_is_tried_again_without_a_word(
    blocks: Blocks, caplog: pytest.LogCaptureFixture
) -> None:
    put(blocks, JobState.RUNNING)
    blocks.executor.provider.answers = False
    for _ in range(3):
        blocks._end(blocks.executor.blocks()["0"], "is of no use")
    assert blocks.executor.provider.cancelled == ["0.server"] * 3
    assert len(warnings(caplog)) == 1
    assert [block.id for block in blocks._live()] == ["0"]
    blocks.executor.provider.answers = True
    blocks._end(blocks.executor.blocks()["0"], "is of no use")
    assert blocks._live() == []


def test_a_block_whose_good_nodes_have_ended_does_not_wait_for_the_others(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks.executor, "_hold_manager", lambda manager: None)
    put(blocks, JobState.RUNNING)
    blocks._free("0", [pool("0", "n0")])
    blocks._spool.report_node("0", "n1", "OSError: no space")
    blocks._leave_nodes([])
    blocks._end_useless([])
    assert blocks.executor.provider.cancelled == ["0.server"]
    assert not blocks._useless


def test_blocks_whose_nodes_all_fail_soon_delay_the_next_and_a_few_end_the_command(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for number, age in enumerate((TIMERS.quick_block + 1, 60, 60, 60)):
        assert blocks.executor.why_ended is None
        put(blocks, *[JobState.COMPLETED] * number, JobState.RUNNING)
        block = str(number)
        blocks._free(block, [pool(block, "n0"), pool(block, "n1")])
        now[0] += age
        for node in ("n0", "n1"):
            blocks._spool.report_node(block, node, "/tmp takes no file")
        blocks._leave_nodes([])
        blocks._end_useless([])
        assert blocks.executor.provider.cancelled[number:] == [f"{block}.server"]
        assert (blocks._next_try > now[0]) == (number > 0)
        blocks._judge_unused()
    assert "block 3 (job 3.server) has no node left that takes runs (n0: /tmp takes" in reason(
        blocks
    )
    assert all("(n0: /tmp takes no file)" in told for told in warnings(caplog)[:-1])


def test_a_block_is_given_back_when_idle_and_not_while_a_node_that_is_left_alone_has_runs(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told_to_hold: list[str] = []
    monkeypatch.setattr(blocks.executor, "_hold_manager", told_to_hold.append)
    put(blocks, JobState.RUNNING)
    held = replace(pool("0", "n1", tasks=2), is_active=False)

    def after(seconds: float, *pools: Pool) -> list[str]:
        now[0] += seconds
        blocks._release_idle(blocks._live(), pools)
        return blocks.executor.provider.cancelled

    assert after(0, pool("0", "n0"), held) == []
    assert after(9 * TIMERS.idle_block, pool("0", "n0"), held) == []
    assert after(1, pool("0", "n0")) == []
    assert after(TIMERS.idle_block, pool("0", "n0")) == []
    blocks.executor.provider.answers = False
    assert after(1, pool("0", "n0")) == ["0.server"]
    assert told_to_hold == ["n0-1234abcd"]
    # It takes no run any more, so it is released even if one waits by now.
    blocks._waited = now[0]
    assert after(1, replace(pool("0", "n0"), is_active=False)) == ["0.server"] * 2
    blocks.executor.provider.answers = True
    assert after(1, pool("0", "n0")) == ["0.server"] * 3
    assert after(99, pool("0", "n0")) == ["0.server"] * 3


def test_of_idle_blocks_those_in_the_queue_are_given_back_first_and_the_least_are_kept(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    blocks._limits = replace(blocks._limits, least=1)
    put(blocks, JobState.RUNNING, JobState.PENDING)
    for _ in range(3):
        blocks._release_idle(blocks._live(), [])
        now[0] += TIMERS.idle_block + 1
    assert blocks.executor.provider.cancelled == ["1.server"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), UNWRITABLE])
def test_a_disk_that_takes_no_script_is_waited_for(blocks: Blocks, error: Exception) -> None:
    refuse(blocks, error, 9)
    assert blocks.executor.why_ended is None


def test_in_the_reserve_of_an_allocation_no_block_is_started_and_the_command_ends(
    blocks: Blocks,
) -> None:
    blocks._last_start = time.monotonic() - 1
    blocks.ask_for(1)
    assert blocks.executor._status == {}
    assert blocks._refusals == 0
    assert not blocks._is_over(waiting=0)
    put(blocks, JobState.RUNNING)
    assert not blocks._is_over(waiting=3)
    put(blocks, JobState.COMPLETED)
    assert blocks._is_over(waiting=3)
    assert "the same command in another one continues" in reason(blocks)


def test_what_a_block_waits_for_is_told(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(blocks, JobState.PENDING)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    blocks.executor.provider.said = "Not Running: Queue not started."
    for _ in range(24 * 60):  # A day.
        blocks._say_what_waits()
        now[0] += 60
    told = warnings(caplog)
    assert 20 < len(told) < 30
    assert told[0] == "block 0 (job 0.server) waits in the queue: Not Running: Queue not started."
