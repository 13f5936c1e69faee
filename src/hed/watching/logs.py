"""Logs without the noise of the frameworks, and the error that a log ends with.

A summary keeps every line except these: informational lines and banners of TensorFlow, XLA, oneDNN
and absl; the updates of a Keras progress bar before the last of an epoch; and repeated warnings,
errors and tracebacks, which are counted at the end. The numbers in a framework's warning do not
make it another one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hed import files

TRACEBACK = "Traceback (most recent call last)"
TAIL_BYTES = 32_768

# What rewrites a line on a terminal: carriage returns, and the backspaces of Keras 2.
REWRITE = re.compile(r"[\r\b]+")
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_PACE = r"(?:\s+-)?\s+(?:ETA: )?[\d:]+(?:[mu]?s)?(?:\s+\d+[mun]?s/\w+)?"
_METRIC = r"\s+-\s+[A-Za-z_]\w*: (?:nan|-?inf|-?\d+(?:\.\d{1,4})?(?:e[-+]\d\d)?)"
# What follows a bar was printed by something else, on the same line.
BAR = re.compile(rf"\s*(\d+)/(?:\d+|Unknown) +(?:\[[=>.]+\]|[━╸╺ ]*━)(?:{_PACE})?(?:{_METRIC})*")

TIME = re.compile(r"^(?:\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d(?:[.,]\d+)?:? *")


def _stamp(levels: str) -> str:
    """Return a pattern for the prefix of TensorFlow's and absl's messages of these levels."""
    return (
        rf"(?:\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: {levels} "
        rf"|{levels}\d{{4}} \d\d:\d\d:\d+\.\d+ +\d+ )\S+:\d+\]"
    )


INFO = re.compile(_stamp("I"))
LEVELLED = re.compile(_stamp("[IWEF]"))
# Some of these contain words that would make them notable.
BANNER = re.compile(
    r"To enable the following instructions: .* rebuild TensorFlow"
    r"|: I \S+\] (?:oneDNN custom operations are on|This TensorFlow binary is optimized)"
    r"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
)
CHATTY = re.compile(_stamp("[IW]") + r"|(?:WARNING|W):(?:tensorflow|absl|keras|itex)\b")
NOTABLE = re.compile(
    r"warn|error|exception|fail|abort|fatal|critical|out of memory|\boom\b|killed|segmentation",
    re.IGNORECASE,
)
PYTHON_WARNING = re.compile(r"\S.*:\d+: \w*Warning: ")

ERROR = re.compile(
    r"(?:[\w./-]+: )?(?:error|ERROR): |[\w.]*(?:Error|Exception|Interrupt)(?:$|: )"
    r"|Fatal Python error|(?:Killed|Terminated|Aborted|Segmentation fault|Bus error)\b"
    rf"|{_stamp('F')}"
)
# Most logs have none of these: a quick look saves reading them line by line. The last two start a
# fatal message of TensorFlow or absl.
SUSPICIOUS = (
    *("error", "exception", "interrupt", "traceback", "killed", "terminated", "aborted"),
    *("segmentation", ": f ", "\nf"),
)
WORK = re.compile(r"epoch +\d+/\d+|resuming after|waiting for |[\d,]+ (?:training|test) rows", re.I)


# What was printed; for a progress bar, also the step that it shows.
Statement = tuple[int | None, str]


@dataclass
class _Summary:
    """What has been kept and printed so far, while a log is read."""

    bar: str | None = None
    step: int = 0
    previous: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    wordings: dict[str, str] = field(default_factory=dict)

    def end_bar(self) -> Iterator[str]:
        """Yield the bar whose updates have ended, if any."""
        if self.bar is not None:
            yield self.bar
        self.bar, self.step = None, 0

    def update_bar(self, bar: str, step: int) -> Iterator[str]:
        """Take the next update of a bar; the first of the next epoch ends the one before."""
        if step < self.step:
            yield from self.end_bar()
        self.bar, self.step = bar, step

    def is_said(self, block: str) -> bool:
        """Return whether a notable statement is a repetition, or any one equals the last."""
        if not (NOTABLE.search(block) or CHATTY.match(block) or LEVELLED.match(block)):
            repeated, self.previous = block == self.previous, block
            return repeated
        key = _key(block)
        self.counts[key] += 1
        self.wordings.setdefault(key, block)
        return self.counts[key] > 1

    def repeated(self) -> Iterator[str]:
        """Yield how often each repeated statement was made."""
        for key, count in self.counts.items():
            if count > 1:
                yield f"{count:,} times: {self.wordings[key].splitlines()[-1].strip()}"


def shrink(source: Path, target: Path) -> None:
    """Write the summary of the log `source` to `target`, whole or not at all."""
    with (
        source.open(errors="replace", newline="\n") as log,
        files.replacing(target) as temporary,
        temporary.open("w") as summary,
    ):
        summary.writelines(f"{line}\n" for line in summarise(log))


def summarise(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a log's summary."""
    summary = _Summary()
    for step, block in _blocks(_statements(lines)):
        if step is not None:
            yield from summary.update_bar(block, step)
        elif not _is_noise(block) and not summary.is_said(block):
            yield from summary.end_bar()
            yield block
    yield from summary.end_bar()
    yield from summary.repeated()


def last_error(log: Path) -> str | None:
    """Return the error that a log ends with, None if work continued after the last one.

    It is a line such as `error: no space left` or, of a traceback, the exception.
    """
    tail = _tail(log)
    lower = tail.lower()
    if not any(word in lower for word in SUSPICIOUS):
        return None
    found = None
    for step, block in _blocks(_statements(tail.split("\n"))):
        if step is not None or WORK.match(block):
            found = None
        elif TRACEBACK in block or ERROR.match(block) or ERROR.match(TIME.sub("", block)):
            found = block.splitlines()[-1].strip()
    return found


def _tail(log: Path) -> str:
    """Return the last lines of a log, which may be large."""
    with log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - TAIL_BYTES, 0))
        return "\n" + stream.read().decode(errors="replace")


def _statements(lines: Iterable[str]) -> Iterator[Statement]:
    """Yield what was printed, bar by bar and line by line, without colours and empty lines."""
    for line in lines:
        for text in REWRITE.split(COLOUR.sub("", line.rstrip("\n"))):
            while bar := BAR.match(text):
                yield int(bar[1]), bar.group()
                text = text[bar.end() :]
            if text and not text.isspace():
                yield None, text


def _blocks(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Yield statements, the lines of a traceback and the source line of a warning joined."""
    block: list[str] = []
    for step, text in statements:
        if step is not None or (block and LEVELLED.match(text)):
            yield step, text  # of another thread, if within a block
        elif block and text[0].isspace():
            block.append(text)
        elif block and TRACEBACK in block[0] and TRACEBACK not in text:
            yield None, "\n".join([*block, text])
            block = []
        else:
            if block:
                yield None, "\n".join(block)
            block = [text] if TRACEBACK in text or PYTHON_WARNING.match(text) else []
            if not block:
                yield None, text
    if block:
        yield None, "\n".join(block)


def _is_noise(block: str) -> bool:
    """Return whether a statement says nothing about the run; serious words are never noise."""
    if BANNER.search(block):
        return True
    return bool(INFO.match(block)) and not NOTABLE.search(block)


def _key(block: str) -> str:
    """Return the key by which statements are equal: without times and a framework's numbers."""
    if CHATTY.match(block):
        return re.sub(r"\d+|0x[0-9a-f]+", "#", block)
    if stamp := LEVELLED.match(block):
        return stamp.group().rpartition(" ")[2] + block[stamp.end() :]
    return TIME.sub("", block)
