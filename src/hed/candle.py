"""The model of a run: any importable module with CANDLE's two functions.

`initialize_parameters()` returns the model's hyperparameters with their defaults. `run(params)`
trains; it gets all of them, as overridden by DFLTS and the UPF, and what `model_runner` of the
original adds (see `surroundings`), in the run's directory. It returns the history, metric name to
values over epochs, or Keras's History.

Predictions of the held-out rows come from a third function, `predict_test(params)`, which returns
one AUC for each row of `rsp_test_data.parquet`; in a module without it, `run` writes
`test_y_data_predicted.csv` into `output_dir`, as the original requires of its models.
"""

import difflib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from hed import modules
from hed.config import hyperparameters, original
from hed.config.hyperparameters import UpfLine
from hed.config.original import Parameters
from hed.data import tables
from hed.errors import InputError
from hed.files import write_json, write_text
from hed.names import HISTORY, PREDICTED, RESULT

# Where predictions that `run` wrote are kept until scoring, whose outputs are removed before it.
KEPT = "test_predicted_by_model.csv"
# They have at least three decimals.
ROUNDING = 1e-3


def load(name: str) -> ModuleType:
    """Import a model.

    Raises:
        InputError: if it cannot be imported or lacks one of the two functions.
    """
    try:
        model = modules.load(name)
    except ImportError as error:
        raise InputError(
            f"model {name!r} cannot be imported ({error}): install what is missing, "
            "or add its directory to PYTHONPATH"
        ) from None
    return checked(model)


def checked(model: ModuleType) -> ModuleType:
    """Return a model that has CANDLE's two functions.

    Raises:
        InputError: if it lacks one.
    """
    for function in ("initialize_parameters", "run"):
        if not callable(getattr(model, function, None)):
            raise InputError(f"model {model.__name__!r} has no function {function}()")
    return model


def parameters(model: ModuleType, dflts: Parameters, line: UpfLine) -> Parameters:
    """Return every hyperparameter of a run of a model.

    Raises:
        InputError: if DFLTS or the UPF set one that the model does not have.
    """
    defaults: Mapping[str, Any] = model.initialize_parameters()
    counted = settle(model.__name__, defaults, dflts, line)
    return {"id": line.id, "index": line.index, **defaults, "model": model.__name__, **counted}


# CANDLE's checkpoints read these from `params`, whether or not the model has defaults for them.
_CHECKPOINTS = ("metadata", *(n for n in hyperparameters.definition()["properties"] if "ckpt" in n))


def resolved(model: ModuleType, params: Parameters, places: Parameters) -> Parameters:
    """Return the hyperparameters as a run will use them, for its `parameters.txt`.

    A model may have `resolve(params)`, which gets what `run` gets and decides open choices.
    """
    if not hasattr(model, "resolve"):
        return params
    decided = model.resolve({**params, **places})
    return {name: decided[name] for name in params}


def settle(name: str, own: Collection[str], dflts: Parameters, line: UpfLine) -> Parameters:
    """Return what DFLTS and the UPF set for a run of a model.

    Args:
        name: of the model, for the error's text.
        own: names of its hyperparameters.

    Raises:
        InputError: if one is neither the model's own nor known from the original's files.
    """
    known = {*own, "model", *_CHECKPOINTS}
    counted = original.settle(
        {**dflts, **line.overrides}, f"the hyperparameters of {line.id}", known
    )
    for unknown in (each for each in counted if each not in known):
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"{name} has no hyperparameter {unknown!r}{hint}")
    return counted


def surroundings(run: Path, partition: Path, data: Path, threads: int) -> Parameters:
    """Return what a model is given about where it runs, besides its hyperparameters.

    `output_dir` and `instance_directory` are the run's directory, `input_dir` has its partition
    and links to the feature tables, `data_dir` the feature tables.
    """
    return {
        "output_dir": str(run),
        "instance_directory": str(run.resolve()),
        "input_dir": str(partition),
        "data_dir": str(data),
        "run_id": run.name,
        "experiment_id": run.resolve().parent.parent.name,
        "framework": "keras",
        "save": str(run.resolve() / "output"),
        "threads": threads,
    }


def plain(params: Parameters) -> Parameters:
    """Return hyperparameters as JSON values: values of other types become text."""
    value: Parameters = json.loads(json.dumps(params, default=str))
    return value


def restored(model: ModuleType, params: Parameters) -> Parameters:
    """Return hyperparameters with what `plain` turned into text restored from the defaults.

    What was added to the model since they were written gets its default.
    """
    defaults = model.initialize_parameters()
    texts = plain({n: v for n, v in defaults.items() if not isinstance(v, str)})
    unread = {n for n, text in texts.items() if isinstance(text, str) and params.get(n) == text}
    return {**defaults, **params, **{name: defaults[name] for name in unread}}


def history(result: Any) -> dict[str, list[Any]]:
    """Return the history that a model's `run` returned: a mapping, Keras's History, or none.

    A single number, such as a score, counts as a list of one; what is no number is left out.
    """
    values = getattr(result, "history", result)
    if not isinstance(values, Mapping):
        return {}
    found = {}
    for name, of in values.items():
        try:
            found[str(name)] = [None if v is None else float(v) for v in np.ravel(of)]
        except (TypeError, ValueError):
            print(f"{name!r} of the history that the model returned has no numbers: left out")
    return found


def prepare(run: Path) -> None:
    """Remove predictions of an earlier training or scoring."""
    for name in (PREDICTED, KEPT):
        (run / name).unlink(missing_ok=True)


def finish(run: Path, result: Any) -> None:
    """Keep the predictions that a model's `run` wrote, and write result and history unless it did.

    The history comes last: it means that everything is there.
    """
    if (run / PREDICTED).exists():
        (run / PREDICTED).replace(run / KEPT)
    if (run / HISTORY).exists():
        return
    values = history(result)
    if losses := values.get("val_loss"):
        write_text(run / RESULT, f"{losses[-1]}\n")
    write_json(run / HISTORY, values)


def predict(model: ModuleType, params: Parameters, test: pl.DataFrame) -> np.ndarray:
    """Return a model's predictions of a run's n test rows.

    Args:
        test: the n test rows, with their cells and AUC.

    Raises:
        InputError: if there are none, not one for each row, or one is not finite.
    """
    cells = test[tables.CELL]
    if hasattr(model, "predict_test"):
        predicted = np.asarray(model.predict_test(params), np.float64).reshape(-1)
    else:
        predicted = _kept(model, Path(params["output_dir"]) / KEPT, test)
    if len(predicted) != len(cells):
        raise InputError(
            f"model {model.__name__!r} predicted {len(predicted):,} of {len(cells):,} test rows: "
            "it has to return one AUC for each row of rsp_test_data.parquet"
        )
    wrong = np.flatnonzero(~np.isfinite(predicted))
    if len(wrong):
        raise InputError(
            f"model {model.__name__!r} predicted {predicted[wrong[0]]} for {len(wrong):,} of "
            f"{len(cells):,} test rows, first for cell {cells[int(wrong[0])]}: its training "
            "diverged, or its features hold values that are not finite"
        )
    return predicted


# An id of only digits is text, too.
_TYPES: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("labels", "drugs"), pl.String),
    **dict.fromkeys(("auc_true", "auc_pred"), pl.Float64),
}


def _kept(model: ModuleType, path: Path, test: pl.DataFrame) -> np.ndarray:
    """Return the predictions that `run` wrote."""
    if not path.exists():
        raise InputError(
            f"model {model.__name__!r} left no predictions: give it a function "
            f"predict_test(params), or have its run(params) write {PREDICTED} into output_dir"
        )
    try:
        # Other columns may hold anything.
        table = pl.read_csv(path, schema_overrides=_TYPES, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        said = tables.first_line(error)
        raise InputError(
            f"{PREDICTED} of model {model.__name__!r} cannot be read as a table: {said}"
        ) from None
    if "auc_pred" not in table.columns:
        raise InputError(f"{PREDICTED} of model {model.__name__!r} has no column auc_pred")
    for name in table.columns:
        if name in _TYPES and table[name].null_count():
            row = int(table[name].is_null().arg_true()[0]) + 1
            raise InputError(
                f"{PREDICTED} of model {model.__name__!r} has no {name} in row {row:,}"
            )
    return _aligned(model, table, test)["auc_pred"].to_numpy()


def _aligned(model: ModuleType, table: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """Return predictions in the order of the test rows.

    By cell (and drug, if both name it), and by AUC among replicates.
    """
    own = {"labels": tables.CELL, "drugs": tables.DRUG}
    keys = {name: of for name, of in own.items() if name in table.columns and of in test.columns}
    if "labels" not in keys:
        return table
    in_order = all(table[name].to_list() == test[of].to_list() for name, of in keys.items())
    if "auc_true" not in table.columns:
        if in_order:
            return table
    elif in_order and np.allclose(table["auc_true"], test[tables.AUC], atol=ROUNDING):
        return table
    elif _are_drugs_told(table, test) and _rows(table, keys) == _rows(test, keys.values()):
        place = test.with_columns(row=pl.int_range(pl.len()))
        wanted = place.sort(*keys.values(), tables.AUC, maintain_order=True)["row"]
        found = table.sort(*keys, "auc_true", maintain_order=True)
        return found.with_columns(wanted).sort("row")
    raise InputError(
        f"{PREDICTED} of model {model.__name__!r} has other labels than rsp_test_data.parquet has "
        "cells: it needs a row for each of its rows, in the same order or with auc_true (and, if "
        "a cell has several drugs, with drugs)"
    )


def _are_drugs_told(table: pl.DataFrame, test: pl.DataFrame) -> bool:
    """Return whether predictions name the drugs, or each cell of the test rows has one only."""
    if "drugs" in table.columns or tables.DRUG not in test.columns:
        return True
    pairs = test.select(tables.CELL, tables.DRUG).unique()
    return not pairs[tables.CELL].is_duplicated().any()


def _rows(table: pl.DataFrame, names: Iterable[str]) -> list[tuple[Any, ...]]:
    """Return the values of some columns in order."""
    return sorted(table.select(*names).rows())
