"""Files that appear whole or not at all."""

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hed.errors import InputError


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the same directory and rename it to `path` on success.

    The content is on disk before the rename, so neither a kill nor a node's crash leaves a
    half-written file under the final name.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory, not a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _permit(temporary)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _permit(path: Path) -> None:
    """Give `path` the permissions of an ordinary new file; a temporary one is private."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def sync(path: Path) -> None:
    """Flush the content of `path` to disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as readable JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def agree(path: Path, value: Any) -> Any:
    """Return the JSON value in `path`, which the first of several processes writes.

    Raises:
        InputError: if the file is damaged.
    """
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}")
        write_json(temporary, value)
        try:
            os.link(temporary, path)  # unlike a rename, fails if it exists
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            _claim(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return read_json(path)


def _claim(temporary: Path, path: Path) -> None:
    """Rename a file unless another process does; if that one has died, do it in its place."""
    end = time.monotonic()
    try:
        path.with_name(f".{path.name}.claim").open("xb").close()
    except FileExistsError:
        end += 10
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.1)
    if not path.exists():
        temporary.replace(path)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file that the user named.

    Raises:
        InputError: if it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()  # perhaps with a byte order mark
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None


def read_json(path: Path | str) -> Any:
    """Return the JSON value in `path`.

    Raises:
        InputError: if the file is missing or is not JSON.
    """
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    return parse_json(text, source=str(path))


def parse_json(text: bytes, *, source: str) -> Any:
    """Return the JSON value in a text.

    Args:
        source: where it was read, for the error's text.

    Raises:
        InputError: if it is not JSON.
    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source} is not valid JSON: {error}") from None
