"""Checksums that are the same wherever computed: of blocks, and of a file from its blocks."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BLOCK = 2**20  # bytes: a stripe of Lustre, and long enough to hash outside Python's lock
MAX_THREADS = 8


def hashers() -> ThreadPoolExecutor:
    """Return threads for hashing."""
    return ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1), "hash")


def of_block(data: memoryview | bytes) -> bytes:
    """Return the checksum of one block."""
    return hashlib.blake2b(data, digest_size=32).digest()


def of_blocks(data: memoryview, pool: ThreadPoolExecutor) -> list[bytes]:
    """Return the checksum of each block of `data`."""
    return list(pool.map(of_block, (data[i : i + BLOCK] for i in range(0, len(data), BLOCK))))


def joined(blocks: Iterable[bytes]) -> str:
    """Return the checksum of a file from those of its blocks."""
    return hashlib.blake2b(b"".join(blocks), digest_size=32).hexdigest()


def of_file(path: Path, pool: ThreadPoolExecutor) -> str:
    """Return the checksum of a file."""
    with path.open("rb", buffering=0) as stream:

        def block(offset: int) -> bytes:
            return of_block(os.pread(stream.fileno(), BLOCK, offset))

        return joined(pool.map(block, range(0, os.fstat(stream.fileno()).st_size, BLOCK)))
