"""Alternating repetitions of commands on a noisy machine: CPU seconds, medians with min and max."""

import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def cpu_seconds(command: Sequence[str], cwd: Path) -> tuple[float, float]:
    """Run a command and return its CPU seconds (user + system) and its peak memory in MB."""
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def alternate(
    commands: Mapping[str, tuple[Sequence[str], Path]], repetitions: int
) -> dict[str, list[tuple[float, float]]]:
    """Run named commands in turn, A B A B ..., and return (CPU seconds, MB) of each."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, (command, cwd) in commands.items():
            results[name].append(cpu_seconds(command, cwd))
    return results


def spread(values: Sequence[float]) -> str:
    """Return `median (min to max)`."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
