"""What an experiment will do: its runs, and the settings that make it this experiment."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hed.config import hyperparameters
from hed.config.hyperparameters import UpfLine
from hed.config.original import Parameters
from hed.config.settings import Settings
from hed.data import layout, preprocess, raw, responses, tables
from hed.data.responses import Responses
from hed.errors import InputError
from hed.experiment import inspection


@dataclass(frozen=True)
class Run:
    """One training: a directory under `run/`, a marker, and what it holds out.

    Attributes:
        held_out: id of the drug or cell; None for a random split.
        marker: `NNN` of `markers/marker-NNN.txt`: the index, and the id too when an earlier run
            has the same index.
    """

    id: str
    index: int
    held_out: str | None
    marker: str


@dataclass(frozen=True)
class Plan:
    """The runs of an experiment and everything that its results depend on.

    Attributes:
        notes: sentences that the user should read at the start.
    """

    runs: tuple[Run, ...]
    upf: tuple[UpfLine, ...]
    dflts: Parameters
    identity: dict[str, Any]
    notes: tuple[str, ...] = ()


def make(settings: Settings) -> Plan:
    """Read and check what the settings name, before any job starts.

    Raises:
        InputError: one sentence about the first thing that would make the experiment fail.
    """
    data = _responses(settings)
    dflts = hyperparameters.read_dflts(settings.dflts) if settings.dflts else {}
    column = tables.COUNTED.get(settings.partition["mode"])
    ids = data.ids[column] if column else None
    upf = _upf(settings.upf, ids, column, hyperparameters.model_of(dflts))
    found = inspection.inspect(dflts, upf)
    ignored = hyperparameters.ignored(settings.dflts, settings.upf, found.own)
    return Plan(
        runs=tuple(_runs(upf, ids)),
        upf=tuple(upf),
        dflts=dflts,
        identity=_identity(settings, dflts),
        notes=(*ignored, *found.notes, *responses.notes(data, column), *_mixed(settings, data)),
    )


def _responses(settings: Settings) -> Responses:
    source = settings.data_source
    if layout.is_raw(source):
        return responses.of_raw(raw.read(source, preprocess.choice(settings.preprocess)))
    if not (source / tables.RESPONSE_FILE).exists():
        raise InputError(
            f"data_source {source} holds neither {tables.RESPONSE_FILE} (preprocessed) "
            "nor response.tsv (raw IMPROVE tables)"
        )
    return responses.read_checked(source)


def _mixed(settings: Settings, data: Responses) -> list[str]:
    """Return a sentence if raw responses come from several sources that nobody chose."""
    found = raw.sources(data.rows) if layout.is_raw(settings.data_source) else []
    if len(found) < 2 or settings.preprocess["sources"]:
        return []
    return [
        f"the responses come from {len(found)} sources ({', '.join(found)}), and all are used: "
        "choose with preprocess: sources in config/config.yaml"
    ]


def _upf(path: Path | None, ids: list[str] | None, column: str | None, model: str) -> list[UpfLine]:
    if path is None:
        return hyperparameters.generate_upf(len(ids) if ids is not None else 1)
    upf = hyperparameters.read_upf(path, model)
    if ids is not None and column is not None:
        for line in upf:
            tables.check_index(line.index, len(ids), tables.NOUN[column])
    return upf


def _runs(upf: Sequence[UpfLine], ids: list[str] | None) -> list[Run]:
    seen: Counter[int] = Counter()
    runs = []
    for line in upf:
        number = f"{line.index:03d}"
        marker = f"{number}-{line.id}" if seen[line.index] else number
        seen[line.index] += 1
        runs.append(Run(line.id, line.index, ids[line.index] if ids else None, marker))
    return runs


def _identity(settings: Settings, dflts: Parameters) -> dict[str, Any]:
    """Return what may not change while an experiment goes on, by the name the user knows."""
    identity: dict[str, Any] = {
        "data_source": _digest(settings.data_source),
        "dflts": dflts,
        "seed": settings.seed,
        "partition": dict(settings.partition),
        "restart_from": str(settings.restart_from or ""),
    }
    if layout.is_raw(settings.data_source):
        identity["preprocess"] = preprocess.decisive(settings.preprocess)
    return identity


# Enough of a feature table to tell another one, in some milliseconds: a parquet file's end has the
# extremes of each column.
SAMPLE = 8 * 2**20  # bytes


def _digest(source: Path) -> str:
    """Return a digest of the data: the responses, and both ends of the features and their sizes.

    Independent of where the data are, when they were written, and what else is there, so they can
    be moved or touched.
    """
    if layout.is_raw(source):
        response, *features = (layout.find(source, name) for name in layout.FILES)
    else:
        response, *features = (source / name for name in tables.FILES)
    digest = hashlib.blake2b(response.read_bytes(), digest_size=16)
    for path in features:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(SAMPLE))
            stream.seek(max(size - SAMPLE, 0))
            digest.update(stream.read(SAMPLE))
    return digest.hexdigest()
