"""What the pilot takes for granted of Parsl, which documents none of it.

Read this before an upgrade. Each failure is a sentence that says what would go wrong; the pin in
pyproject.toml is for these. What is overridden is in `hed.pilot.parsl`.
"""

import inspect
from pathlib import Path
from typing import Any

import parsl.executors.high_throughput
import pytest
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
from parsl.executors.status_handling import BlockProviderExecutor
from parsl.jobs.states import TERMINAL_STATES, JobState
from parsl.providers import LocalProvider, PBSProProvider, SlurmProvider
from parsl.providers.slurm import slurm

from hed.pilot.parsl.executor import UNSAID

PACKAGE = Path(parsl.executors.high_throughput.__file__).parent
# Overridden or called, and what for.
METHODS = {
    "submit": "runs are given with their priorities",
    "poll_facade": "the dispatcher looks at the blocks itself, without Parsl's strategy",
    "scale_out_facade": "blocks are asked for one by one, and none for a while after a refusal",
    "scale_in_facade": "idle blocks are given back",
    "connected_managers": "free tiles, and nodes to leave alone, are those of the worker pools",
    "outstanding": "the number of waiting runs decides about blocks",
    "set_bad_state_and_fail_all": "the command ends when no block can start",
    "_launch_block": "a refused submission is noticed with its error",
    "_hold_manager": "a node on which no run begins gets none",
}


@pytest.mark.parametrize(("name", "purpose"), METHODS.items())
def test_a_method_of_the_executor_is_there(name: str, purpose: str) -> None:
    assert callable(getattr(HighThroughputExecutor, name, None)), f"no {name} any more: {purpose}"


@pytest.mark.parametrize("name", ["status_facade", "bad_state_is_set", "executor_exception"])
def test_a_property_of_the_executor_is_there(name: str) -> None:
    assert isinstance(inspect.getattr_static(HighThroughputExecutor, name), property), name


def test_the_state_of_blocks_is_kept_where_the_pilot_sets_it() -> None:
    source = inspect.getsource(BlockProviderExecutor)
    for name in ("_status", "_simulated_status", "blocks_to_job_id"):
        assert f"self.{name}" in source, f"{name} is gone: a block given back would count as alive"


@pytest.mark.parametrize(
    "key", ["manager", "block_id", "worker_count", "tasks", "active", "draining"]
)
def test_a_worker_pool_is_described_by_what_the_pilot_reads(key: str) -> None:
    text = (PACKAGE / "interchange.py").read_text()
    assert f"'{key}'" in text, f"connected_managers no longer tells {key}"


def test_the_command_of_a_worker_pool_takes_what_the_keeper_adds_and_reads() -> None:
    pool = (PACKAGE / "process_worker_pool.py").read_text()
    assert '"--uid"' in pool, "the keeper names its pool by the node"
    assert '"--drain_period"' in pool, "no run is begun in the reserve of a block"
    for option in ("--block_id=", "--drain_period=", "process_worker_pool.py"):
        assert option in DEFAULT_LAUNCH_CMD, option
    for variable in ("PARSL_WORKER_RANK", "PARSL_WORKER_BLOCK_ID"):
        assert variable in pool, f"a worker is no longer told {variable}: it finds no tile"


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        (PBSProProvider, ["execute_wait", "submit", "status", "cancel", "_status"]),
        (SlurmProvider, ["execute_wait", "submit", "status", "cancel", "_status"]),
        (LocalProvider, ["submit", "status", "cancel"]),
    ],
)
def test_a_provider_has_the_methods_that_are_overridden(provider: Any, names: list[str]) -> None:
    for name in names:
        assert callable(getattr(provider, name, None)), f"{provider.__name__} has no {name}"


def test_the_states_of_slurm_are_translated_by_a_table_that_can_be_replaced() -> None:
    assert "self._translate_table" in inspect.getsource(SlurmProvider._status)
    for table in (slurm.squeue_translate_table, slurm.sacct_translate_table):
        assert table["COMPLETED" if "COMPLETED" in table else "CD"] == JobState.COMPLETED


def test_an_error_of_a_submission_passes_through_the_method_that_notices_it() -> None:
    source = inspect.getsource(BlockProviderExecutor.scale_out_facade)
    assert "self._launch_block(block_id)" in source, "a refusal would go unnoticed"
    assert "except Exception" in source, "a refusal would end the dispatcher's look at the blocks"


def test_a_block_without_a_worker_is_told_of_in_words_that_are_known() -> None:
    source = inspect.getsource(HighThroughputExecutor.status)
    assert f'"{UNSAID}' in source, "Parsl's words would be shown instead of the block's own error"


def test_the_states_of_a_block_that_has_ended_are_those_the_pilot_knows() -> None:
    assert JobState.SCALED_IN in TERMINAL_STATES and JobState.MISSING in TERMINAL_STATES
    assert JobState.RUNNING not in TERMINAL_STATES and JobState.PENDING not in TERMINAL_STATES
