"""One source file to all nodes: read in parts, exchanged in chunks, written while the next travels.

    chunk k + 1 is read     by collective MPI-IO, each node a different part
    chunk k     travels     each node gets the parts of the others
    chunk k - 1 is written  by a thread, to node-local disk

Hence three buffers. With the checksums of each chunk the nodes exchange whether all is well, so
that they stop together.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from hed.staging import checksums
from hed.staging.checksums import BLOCK
from hed.staging.clock import Clock
from hed.staging.local import Room
from hed.staging.nodes import Nodes, Source, StageError, agreed, shared
from hed.staging.sinks import Sink

BUFFERS = 3


def shares(length: int, size: int) -> list[int]:
    """Return how many bytes of a chunk each of `size` nodes reads: whole blocks, in order."""
    blocks = -(-length // BLOCK)
    ends = [min(length, (rank + 1) * blocks // size * BLOCK) for rank in range(size)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


@dataclass
class _Buffer:
    """Memory for one chunk, and the job that writes it to disk."""

    memory: memoryview
    written: "Future[None] | None" = None


@dataclass(frozen=True)
class _Chunk:
    """One chunk on its way: complete after `arrive`."""

    buffer: _Buffer
    data: memoryview
    counts: list[int]
    blocks: list[bytes]
    arrive: Callable[[], None]


class Transfer:
    """Brings files to all nodes."""

    def __init__(
        self, nodes: Nodes, *, chunk: int, clock: Clock, room: Room, hashers: ThreadPoolExecutor
    ) -> None:
        """Take the memory for `chunk` bytes at a time, at least a block for each node."""
        self.nodes, self.clock, self.room = nodes, clock, room
        self._chunk = max(-(-chunk // BLOCK), nodes.size) * BLOCK
        # The system allocates this memory at its first use.
        self._buffers = [_Buffer(memoryview(mmap(-1, self._chunk))) for _ in range(BUFFERS)]
        self._hashers, self._writer = hashers, ThreadPoolExecutor(1, "write")

    def __enter__(self) -> "Transfer":
        """Return the transfer, which ends its writing thread on exit."""
        return self

    def __exit__(self, *error: object) -> None:
        """Wait for the writing thread."""
        self._writer.shutdown()

    def send(self, path: Path, size: int, sink: Sink) -> str:
        """Read `size` bytes of a file once and pass them to the sink of every node.

        Returns:
            the checksum of the file.

        Raises:
            StageError: on every node, if any could not read, write or confirm.
        """
        try:
            blocks = self._stream(path, size, sink) if size else []
            agreed(self.nodes, lambda: self._finish(sink))
        except BaseException:
            self._drain()
            sink.abandon()
            raise
        return checksums.joined(blocks)

    def _stream(self, path: Path, size: int, sink: Sink) -> list[bytes]:
        """Return the checksums of all blocks; the last chunks may still be on their way to disk."""
        source = agreed(self.nodes, lambda: self.nodes.open(path))
        buffers = itertools.cycle(self._buffers)
        blocks: list[bytes] = []
        travelling: _Chunk | None = None
        try:
            for offset in range(0, size, self._chunk):
                length = min(self._chunk, size - offset)
                read = self._read(source, offset, length, next(buffers))
                self._land(travelling, sink)
                travelling = self._depart(*read)
                blocks += travelling.blocks
        except StageError:
            self._leave(source, travelling, sink)
            raise
        self._leave(source, travelling, sink)
        return blocks

    def _leave(self, source: Source, travelling: _Chunk | None, sink: Sink) -> None:
        """End what all nodes have started together."""
        self._land(travelling, sink)
        source.close()

    def _read(
        self, source: Source, offset: int, length: int, buffer: _Buffer
    ) -> tuple[_Buffer, memoryview, list[int], list[bytes]]:
        """Read this node's share of a chunk; get the checksums of all its blocks."""
        data, counts = buffer.memory[:length], shares(length, self.nodes.size)
        start = sum(counts[: self.nodes.rank])
        mine = data[start : start + counts[self.nodes.rank]]

        def step() -> list[bytes]:
            failed = buffer.written.exception() if buffer.written else None
            # Even after a failure: the others would wait in the collective call.
            with self.clock.measure("read", len(mine)):
                source.read(offset + start, mine)
            if failed:
                raise failed
            with self.clock.measure("check", len(mine)):
                return checksums.of_blocks(mine, self._hashers)

        blocks = itertools.chain.from_iterable(shared(self.nodes, step))
        return buffer, data, counts, list(blocks)

    def _depart(
        self, buffer: _Buffer, data: memoryview, counts: list[int], blocks: list[bytes]
    ) -> _Chunk:
        """Send the shares of a chunk."""
        with self.clock.measure("exchange", len(data) - counts[self.nodes.rank]):
            arrive = self.nodes.exchange(data, counts)
        return _Chunk(buffer, data, counts, blocks, arrive)

    def _land(self, chunk: _Chunk | None, sink: Sink) -> None:
        """Wait until a chunk has arrived and have it written."""
        if chunk:
            with self.clock.measure("exchange"):
                chunk.arrive()
            chunk.buffer.written = self._writer.submit(self._write, chunk, sink)

    def _write(self, chunk: _Chunk, sink: Sink) -> None:
        self._require_sound(chunk)
        with self.room.used():
            sink.write(chunk.data)

    def _require_sound(self, chunk: _Chunk) -> None:
        """Compare what came from other nodes with the checksums of what they read."""
        start = sum(chunk.counts[: self.nodes.rank])
        end = start + chunk.counts[self.nodes.rank]
        for part, first in ((chunk.data[:start], 0), (chunk.data[end:], -(-end // BLOCK))):
            with self.clock.measure("check", len(part)):
                found = checksums.of_blocks(part, self._hashers)
            if found != chunk.blocks[first : first + len(found)]:
                raise StageError("bytes were changed on their way between nodes: stage again")

    def _finish(self, sink: Sink) -> None:
        for buffer in self._buffers:
            if buffer.written:
                buffer.written.result()
        with self.room.used():
            sink.finish()

    def _drain(self) -> None:
        """Wait for the jobs of the writing thread, whether they succeed or fail."""
        wait([buffer.written for buffer in self._buffers if buffer.written])
