"""The format of a text table: its separator, its encoding, and whether it is complete.

IMPROVE's tables are UTF-8 with tabs. What a spreadsheet or another program made of one is read with
a note if it is unambiguous; otherwise it is refused with its file and line.
"""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl

from hed.data import tables
from hed.data.layout import COMPRESSED
from hed.errors import InputError

TAB = "\t"
UTF_8, LATIN_1 = "utf-8", "latin-1"
# ASSUME: a table whose header has none of these has one column.
SEPARATORS = {TAB: "tabs", ";": "semicolons", ",": "commas"}
# All bytes of a text in Latin-1: no control characters except tab and line ends.
IN_LATIN_1 = bytes([*b"\t\n\r", *range(0x20, 0x7F), *range(0xA0, 0x100)])
BLOCK = 2**20  # bytes


@dataclass(frozen=True)
class Form:
    """The format of a text table.

    Attributes:
        separator: between the fields of a line.
        encoding: UTF-8 or Latin-1.
        notes: sentences about what is not as IMPROVE writes it.
    """

    separator: str = TAB
    encoding: str = UTF_8
    notes: tuple[str, ...] = ()

    def open(self, path: Path) -> IO[str]:
        """Open a table as text, compressed or not, keeping its line ends."""
        encoding = "utf-8-sig" if self.encoding == UTF_8 else self.encoding
        return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="")

    def source(self, path: Path) -> Path | io.BytesIO:
        """Return what polars reads, which knows only UTF-8."""
        if self.encoding == UTF_8:
            return path
        with open_bytes(path) as stream:
            return io.BytesIO(stream.read().decode(self.encoding).encode())


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, compressed or not, for reading."""
    return gzip.open(path) if path.suffix == COMPRESSED else path.open("rb")  # type: ignore[return-value]


def recognise(path: Path) -> Form:
    """Find out the format of a table.

    Raises:
        InputError: if it is missing, no text, or ends in the middle of a line.
    """
    with _readable(path):
        seen = _look_through(path)
        encoding = _encoding(path, seen)
        with Form(encoding=encoding).open(path) as stream:
            first = stream.readline()
        separator = _separator(first)
        width = len(_fields(first, separator))
        notes = [*_unusual(path, separator, encoding)]
        notes += _end(path, seen, separator, encoding, width=width)
    return Form(separator, encoding, tuple(notes))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn errors in reading a file into a sentence."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except (EOFError, zlib.error):
        raise InputError(f"{path} was cut off or is damaged: copy it again") from None
    except gzip.BadGzipFile:
        raise InputError(f"{path} is not compressed: remove {COMPRESSED} from its name") from None
    except csv.Error as error:
        raise InputError(f"{path} is not a table: {error}") from None


@dataclass(frozen=True)
class Seen:
    """What one pass over a file shows.

    Attributes:
        is_utf_8, is_latin_1: whether all of it can be text in that encoding.
        lines: number of line ends.
        tail: its last two lines, the last perhaps without its end.
    """

    is_utf_8: bool
    is_latin_1: bool
    lines: int
    tail: bytes


def _look_through(path: Path) -> Seen:
    """Read a file once."""
    decoder = codecs.getincrementaldecoder(UTF_8)()
    is_utf_8, is_latin_1, lines, tail = True, True, 0, b""
    with open_bytes(path) as stream:
        while block := stream.read(BLOCK):
            is_utf_8 = is_utf_8 and _decodes(decoder, block)
            is_latin_1 = is_latin_1 and not block.translate(None, IN_LATIN_1)
            lines += block.count(b"\n")
            tail = _last_lines(tail + block)
    is_utf_8 = is_utf_8 and _decodes(decoder, b"", final=True)
    return Seen(is_utf_8, is_latin_1, lines, tail)


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    """Tell whether the next bytes can be decoded; a text has no zero byte."""
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return b"\0" not in block


def _encoding(path: Path, seen: Seen) -> str:
    """Return the encoding of a file."""
    if seen.is_utf_8:
        return UTF_8
    if not seen.is_latin_1:
        raise InputError(f"{path} is not text in UTF-8 ({_first_foreign(path)}): save it as such")
    return LATIN_1


def _first_foreign(path: Path) -> str:
    """Return where the first unreadable byte is, or what the file is instead."""
    with open_bytes(path) as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "it is UTF-16"
        stream.seek(0)
        for number, line in enumerate(stream, start=1):
            if found := line.translate(None, IN_LATIN_1):
                return f"line {number:,} has the byte 0x{found[0]:02x}"
    raise AssertionError("the file has no such byte")


def _separator(first: str) -> str:
    """Return the separator of the names in the first line."""
    if TAB in first:
        return TAB
    most = max(SEPARATORS, key=first.count)
    return most if most in first else TAB


def _unusual(path: Path, separator: str, encoding: str) -> Iterator[str]:
    """Yield sentences on what is not as IMPROVE writes it."""
    if separator != TAB:
        yield f"{path} has {SEPARATORS[separator]} where IMPROVE's tables have tabs: read so"
    if encoding != UTF_8:
        yield f"{path} is not UTF-8: read as Latin-1"


def _end(path: Path, seen: Seen, separator: str, encoding: str, *, width: int) -> Iterator[str]:
    """Check the last line of a table, or yield what may be wrong with it.

    Args:
        width: number of fields of the first line.

    Raises:
        InputError: if it has fewer fields than both the first line and the one before it.
    """
    if not seen.tail:
        return
    ended = seen.tail.endswith((b"\n", b"\r"))
    lines = [line.decode(encoding, errors="replace") for line in seen.tail.splitlines()]
    *before, last = [_fields(line, separator) for line in lines]
    if before and last and len(last) < min(width, len(before[-1])):
        raise InputError(
            f"line {seen.lines + (not ended):,} of {path}, its last, has {len(last)} fields, and "
            f"its first has {width}: the file was cut off, copy it again"
        )
    if not ended:
        yield f"the last line of {path} has no end: if the file was cut off, it has a wrong value"


def _last_lines(text: bytes) -> bytes:
    """Return the last two lines of a text, the last one perhaps without its end."""
    place = len(text.rstrip(b"\r\n"))
    for _ in range(2):
        place = text.rfind(b"\n", 0, max(place, 0))
        if place < 0:
            return text
    return text[place + 1 :]


def _fields(line: str, separator: str) -> Sequence[str]:
    """Return the fields of a line."""
    return next(csv.reader([line], delimiter=separator), [])


def read(path: Path, form: Form, **options: Any) -> pl.DataFrame:
    """Read a table as polars does with `options`.

    Raises:
        InputError: if it has no rows, or they are not as the header or the schema says.
    """
    try:
        return pl.read_csv(form.source(path), separator=form.separator, **options)
    except pl.exceptions.NoDataError:
        raise InputError(f"{path} has no rows") from None
    except pl.exceptions.PolarsError as error:
        if longer := _first_longer(path, form):
            raise InputError(f"line {longer:,} of {path} has more fields than its first") from None
        raise InputError(f"{path} cannot be read as a table: {tables.first_line(error)}") from None


def _first_longer(path: Path, form: Form) -> int | None:
    """Return the number of the first line, from 1, that has more fields than the first one."""
    with form.open(path) as stream:
        rows = csv.reader(stream, delimiter=form.separator)
        width = len(next(rows))
        return next((rows.line_num for row in rows if len(row) > width), None)
