"""How long each phase took and how much it moved, on one node and on all."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from hed.staging.source import Item

PHASES = ("read", "exchange", "check", "write", "unpack")


@dataclass
class Phase:
    """Bytes moved and seconds spent by one node, or by all and by the slowest."""

    bytes: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Gigabytes (1e9 bytes) per second; 0 if nothing was moved."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0


class Clock:
    """The phases of one node, which overlap: threads of their own read, check, write and unpack."""

    def __init__(self) -> None:
        """Start."""
        self._lock = threading.Lock()
        self._start = time.perf_counter()
        self.phases = {name: Phase() for name in PHASES}

    @contextmanager
    def measure(self, name: str, count: int = 0) -> Iterator[None]:
        """Add the time of a block of code, and `count` bytes, to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, count, time.perf_counter() - start)

    def add(self, name: str, count: int, seconds: float) -> None:
        """Add bytes and seconds to a phase."""
        with self._lock:
            self.phases[name].bytes += count
            self.phases[name].seconds += seconds

    def stop(self) -> dict[str, Phase]:
        """Return the phases, and `total`: what this node received, from start to end."""
        delivered = self.phases["write"].bytes + self.phases["unpack"].bytes
        return {**self.phases, "total": Phase(delivered, time.perf_counter() - self._start)}


@dataclass(frozen=True)
class Report:
    """What a staging did: names of items, bytes that each node read, phases over all nodes."""

    staged: list[str]
    skipped: list[str]
    read_by_node: list[int]
    phases: dict[str, Phase]

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        rates = {k: {**asdict(p), "gb_per_s": p.rate} for k, p in self.phases.items()}
        return {**asdict(self), "nodes": len(self.read_by_node), "phases": rates}

    def as_table(self) -> str:
        """Return the report as lines for people."""
        rows = [f"{'phase':<10}{'bytes':>18}{'seconds':>10}{'GB/s':>9}"]
        for name, phase in self.phases.items():
            rows.append(f"{name:<10}{phase.bytes:>18,}{phase.seconds:>10.2f}{phase.rate:>9.2f}")
        for word, items in (("staged", self.staged), ("already there", self.skipped)):
            rows += [f"{word}: {', '.join(items)}"] if items else []
        return "\n".join(rows)


def report(
    staged: Sequence[Item], items: Sequence[Item], clocks: Sequence[dict[str, Phase]]
) -> Report:
    """Sum up the clocks of all nodes: their bytes together, the seconds of the slowest."""
    skipped = [item.name for item in items if item not in staged]
    phases = {
        name: Phase(
            sum(clock[name].bytes for clock in clocks),
            max(clock[name].seconds for clock in clocks),
        )
        for name in clocks[0]
    }
    return Report(
        [item.name for item in staged], skipped, [c["read"].bytes for c in clocks], phases
    )
