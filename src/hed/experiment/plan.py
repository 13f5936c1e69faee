"""What an experiment will do: its runs, and the settings that make it this experiment."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hed.config import hyperparameters, repeats
from hed.config.hyperparameters import UpfLine
from hed.config.original import Parameters
from hed.config.settings import Settings
from hed.data import (
    groups,
    layout,
    partition,
    preprocess,
    raw,
    responses,
    row_lists,
    splits,
    tables,
)
from hed.data.groups import Groups
from hed.data.options import ALL
from hed.data.responses import Responses
from hed.data.splits import Splits
from hed.errors import InputError
from hed.experiment import inspection
from hed.experiment.opening import PlannedRun
from hed.training import architecture

# Decides which hyperparameters describe the layers.
SPACE = "hyperparam_space"


@dataclass(frozen=True)
class Plan:
    """The runs of an experiment and everything that its results depend on.

    Attributes:
        splits: the files that prescribe each split, if files do.
        data: sentences about the responses: how many there are, and what a user should know.
        notes: sentences that the user should read at the start, with those about the data.
    """

    runs: tuple[PlannedRun, ...]
    upf: tuple[UpfLine, ...]
    dflts: Parameters
    identity: dict[str, Any]
    splits: Splits | None = None
    data: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counted:
    """What indices count: `ids` in their order, None if what they count has no names."""

    indices: Sequence[int]
    ids: Sequence[str] | None = None
    noun: str = ""


def make(settings: Settings) -> Plan:
    """Read and check what the settings name, before any job starts.

    Raises:
        InputError: one sentence about the first thing that would make the experiment fail.
    """
    data, doubts = _responses(settings)
    dflts = hyperparameters.read_dflts(settings.dflts) if settings.dflts else {}
    grouped, prescribed = _groups(settings), _splits(settings)
    column = tables.COUNTED.get(settings.partition["mode"])
    counted = _counted(data, column, grouped, prescribed)
    lines = _upf(settings.upf, counted, hyperparameters.model_of(dflts))
    found = inspection.inspect(dflts, lines)
    repeated = repeats.expand(lines, settings.repeats, dflts, found.defaults)
    upf = hyperparameters.unique(repeated, settings.upf)
    ignored = hyperparameters.ignored(settings.dflts, settings.upf, found.own)
    doubts += [*responses.notes(data, column), *_mixed(settings, data)]
    identity = _identity(settings, dflts)
    if grouped:
        doubts += grouped.unknown(data.rows[grouped.column])
        identity["partition"]["groups"] = grouped.digest
    if prescribed:
        doubts += _unused(data, prescribed, lines)
        identity["splits"] = splits.digests(prescribed, [line.index for line in lines])
    return Plan(
        runs=tuple(_runs(upf, counted.ids)),
        upf=tuple(upf),
        dflts=dflts,
        identity=identity,
        splits=prescribed,
        data=(responses.summary(data), *doubts),
        notes=(*ignored, *_without_effect(dflts, lines), *found.notes, *doubts),
    )


def _groups(settings: Settings) -> Groups | None:
    """Return the groups that are held out together, if the rows are split by group."""
    if settings.partition["mode"] != partition.BY_GROUP:
        return None
    if not (path := settings.partition["groups"]):
        raise InputError(
            "partition: mode by_group needs groups, a table of the group of each drug or cell"
        )
    return groups.read(Path(path))


def _splits(settings: Settings) -> Splits | None:
    """Return the files that prescribe the splits, if files do."""
    if settings.partition["mode"] != partition.BY_FILE:
        return None
    name, test_rows = settings.partition["splits"], settings.partition["test_rows"]
    return splits.find(name, test_rows, settings.data_source, settings.root)


def _unused(data: Responses, prescribed: Splits, upf: Sequence[UpfLine]) -> list[str]:
    """Check each prescribed split; return a sentence on rows that they name but that do not count.

    Raises:
        InputError: as `row_lists.split` does.
    """
    unused = [row_lists.unused(data, prescribed.files(line.index)) for line in upf]
    if not any(unused):
        return []
    return [
        f"rows that splits name and that have no features or were not chosen: {max(unused):,} "
        f"of a split at most; they are left out"
    ]


def _responses(settings: Settings) -> tuple[Responses, list[str]]:
    """Return the responses, and sentences about the format of their files."""
    source = settings.data_source
    if layout.is_raw(source):
        given = raw.read(source, preprocess.choice(settings.preprocess))
        notes = [*given.notes]
        if (source / tables.RESPONSE_FILE).exists():
            notes.append(f"{source} has raw and preprocessed tables: the raw ones are used")
        return responses.of_raw(given), notes
    if not (source / tables.RESPONSE_FILE).exists():
        raise InputError(
            f"data_source {source} holds neither {tables.RESPONSE_FILE} (preprocessed) "
            "nor response.tsv (raw IMPROVE tables)"
        )
    return responses.read_checked(source), preprocess.without_effect(settings.preprocess, source)


def _mixed(settings: Settings, data: Responses) -> list[str]:
    """Return a sentence if raw responses come from several sources without a choice."""
    found = raw.sources(data.rows) if layout.is_raw(settings.data_source) else []
    if len(found) < 2 or settings.preprocess["sources"]:
        return []
    return [
        f"the responses come from {len(found)} sources ({', '.join(found)}), and all are used: "
        "choose with preprocess: sources in config/config.yaml"
    ]


def _upf(path: Path | None, counted: Counted, model: str) -> list[UpfLine]:
    """Return the runs of a UPF, or one for each index."""
    if path is None:
        return hyperparameters.generate_upf(counted.indices)
    upf = hyperparameters.read_upf(path, model)
    if counted.ids is not None:
        for line in upf:
            tables.check_index(line.index, len(counted.ids), counted.noun)
    return upf


def _without_effect(dflts: Parameters, upf: Sequence[UpfLine]) -> list[str]:
    """Return sentences on layers that a run sets to no avail: of another space, or too many."""
    found: dict[str, dict[str, None]] = {}
    uneven: dict[str, None] = {}
    for line in {repr(line.overrides): line for line in upf}.values():  # most have the same
        given = {**dflts, **line.overrides}
        if hyperparameters.model_of(given) != hyperparameters.OURS:
            continue
        space = given.get(SPACE, hyperparameters.default(SPACE))
        changed = [
            name
            for name in architecture.unread(given, space)
            if given[name] != hyperparameters.default(name)
        ]
        found.setdefault(space, {}).update(dict.fromkeys(changed))
        uneven |= dict.fromkeys(architecture.uneven(hyperparameters.resolve(dflts, line), given))
    unset = [
        f"without effect while {SPACE} is {space}: {', '.join(names)}"
        for space, names in found.items()
        if names
    ]
    return [*unset, *uneven]


def _counted(
    data: Responses, column: str | None, grouped: Groups | None, prescribed: Splits | None
) -> Counted:
    """Return what indices count: groups, drugs, cells, prescribed splits, or one random split."""
    if grouped:
        return Counted(range(len(grouped.names)), grouped.names, groups.GROUP)
    if column:
        return Counted(range(len(data.ids[column])), data.ids[column], tables.NOUN[column])
    return Counted(prescribed.indices() if prescribed else [0])


def _runs(upf: Sequence[UpfLine], ids: Sequence[str] | None) -> list[PlannedRun]:
    seen: Counter[int] = Counter()
    runs = []
    for line in upf:
        number = f"{line.index:03d}"
        marker = f"{number}-{line.id}" if seen[line.index] else number
        seen[line.index] += 1
        runs.append(PlannedRun(line.id, line.index, ids[line.index] if ids else None, marker))
    return runs


def source_of(source: Path | str | None, output: Path) -> str:
    """Return the experiment to start from: its name if it is in `output`, which may be moved."""
    if not source:
        return ""
    path = Path(source)
    return path.name if path.parent == output else str(path)


def _identity(settings: Settings, dflts: Parameters) -> dict[str, Any]:
    """Return what must not change when an experiment continues, by the name that users know."""
    identity: dict[str, Any] = {
        "data_source": _digest(settings.data_source),
        "dflts": dflts,
        "seed": settings.seed,
        "partition": partition.decisive(settings.partition),
        "restart_from": source_of(settings.restart_from, settings.output),
    }
    is_raw = layout.is_raw(settings.data_source)
    if is_raw or settings.preprocess["scale_on"] != ALL:
        identity["preprocess"] = preprocess.decisive(settings.preprocess)
    if is_raw and "genes" in identity["preprocess"]:
        # What the list says, wherever it is.
        listed = raw.list_of_genes(settings.preprocess["genes"], settings.data_source).read_bytes()
        identity["preprocess"]["genes"] = hashlib.blake2b(listed, digest_size=16).hexdigest()
    return identity


# Enough of a feature table to tell it from another, within milliseconds: the end of a parquet file
# has the extremes of each column.
SAMPLE = 8 * 2**20  # bytes


def _digest(source: Path) -> str:
    """Return a digest of the data: the responses, and both ends of the features and their sizes.

    Independent of path, modification time and other files, so the data can be moved or touched.
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
