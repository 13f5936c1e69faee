"""What a run uses of the machine is sampled while it trains."""

import time
from pathlib import Path

import polars as pl
import pytest

from hed.site import monitor


def put_tool(directory: Path, name: str, script: str) -> None:
    tool = directory / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that holds nothing but what a test puts there."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    for variable in ("ZE_AFFINITY_MASK", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(variable, raising=False)
    return directory


def busy(seconds: float) -> float:
    """Compute for some seconds; return the per cent of a core that this process had."""
    begun, used = time.monotonic(), time.process_time()
    while time.monotonic() < begun + seconds:
        sum(range(1000))
    return 100 * (time.process_time() - used) / (time.monotonic() - begun)


def test_samples_tell_processor_and_memory_and_a_resumed_run_goes_on(
    tools: Path, tmp_path: Path
) -> None:
    had = []
    for _ in range(2):
        with monitor.monitoring(tmp_path / "monitor.csv", 0.1):
            had.append(busy(0.35))
    table = pl.read_csv(tmp_path / "monitor.csv")
    assert tuple(table.columns) == monitor.COLUMNS
    assert 4 <= len(table) <= 10
    assert table["cpu_percent"].max() > max(had) / 2  # type: ignore[operator]
    assert 20 < table["rss_mb"][0] < 20_000
    assert table["device_percent"].null_count() == len(table)
    restarts = (table["seconds"].diff() < 0).sum()
    assert restarts == 1


def test_zero_seconds_write_nothing_and_start_no_thread(tmp_path: Path) -> None:
    with monitor.monitoring(tmp_path / "monitor.csv", 0):
        pass
    assert not list(tmp_path.iterdir())


def test_a_run_shorter_than_the_interval_has_one_sample_and_ends_at_once(
    tools: Path, tmp_path: Path
) -> None:
    begun = time.monotonic()
    with monitor.monitoring(tmp_path / "monitor.csv", 3600):
        pass
    assert time.monotonic() - begun < 5
    assert len(pl.read_csv(tmp_path / "monitor.csv")) == 1


def test_nvidia_smi_is_asked_for_the_visible_device(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_tool(tools, "nvidia-smi", 'case "$*" in *--id=3*) echo "87, 40960";; esac')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert monitor._device_reader()() == (87, 40960)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert monitor._device_reader()() == (None, None)


@pytest.mark.parametrize(
    ("mask", "options"), [("7", "-d 3 -t 1"), ("5.1", "-d 5 -t 1"), ("0", "-d 0 -t 0")]
)
def test_xpu_smi_is_asked_for_the_tile_of_the_mask(
    mask: str, options: str, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer has a head, and N/A for what a user may not read."""
    head = "Timestamp, DeviceId, TileId, GPU Utilization (%), GPU Memory Used (MiB)"
    answer = f'echo "{head}"; echo "11:20:01.123,    0, 1,  N/A, 48123.25"'
    put_tool(tools, "xpu-smi", f'case "$*" in "dump {options} -m 0,18 -n 1") {answer};; esac')
    monkeypatch.setenv("ZE_AFFINITY_MASK", mask)
    assert monitor._device_reader()() == (None, 48123.25)


def test_a_tool_that_fails_or_hangs_leaves_the_device_empty(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "TIMEOUT", 0.1)
    for script in ("exit 9", "echo nonsense", "exec /bin/sleep 5"):
        put_tool(tools, "nvidia-smi", script)
        assert monitor._device_reader()() == (None, None)
