"""TensorFlow without the lines that it prints at every start."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Written whatever the log level.
_START = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|I\d{4} .* (port|cudart_stub)\.cc:"
    # Intel's extension, which says which backend it has loaded.
    rb"|\S+ \S+ I itex/core/wrapper/"
)


@contextlib.contextmanager
def without_start_lines() -> Iterator[None]:
    """Keep the lines of `_START` from stderr, and write the others once everything is loaded."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            written.seek(0)
            lines = [line for line in written if not _START.match(line)]
            os.write(2, b"".join(lines))
