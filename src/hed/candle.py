"""The model of a run: any importable module with CANDLE's two functions.

`initialize_parameters()` returns the model's hyperparameters with their defaults. `run(params)`
trains; it gets all of them, those that DFLTS and the UPF override, and where the run's files are:
`output_dir` (the run's directory), `input_dir` (its partition), `data_dir` (the feature tables),
and `threads`. It returns the history, metric name to values over epochs, or Keras's History.

Predictions of the held-out rows come from a third function, `predict_test(params)`, which returns
one AUC for each row of `rsp_test_data.parquet`; a module without it has `run` write
`test_y_data_predicted.csv` into `output_dir`, as the original asks of its models.
"""

import difflib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from hed import modules
from hed.config import hyperparameters, original
from hed.config.hyperparameters import UpfLine
from hed.config.original import Parameters
from hed.errors import InputError
from hed.files import write_json

HISTORY = "history.txt"
PREDICTED = "test_y_data_predicted.csv"
# Where predictions that `run` wrote are kept until the scoring, whose outputs are removed before.
KEPT = "test_predicted_by_model.csv"


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


def settle(name: str, own: Collection[str], dflts: Parameters, line: UpfLine) -> Parameters:
    """Return what DFLTS and the UPF set for a run of a model.

    Args:
        name: of the model, for the error's text.
        own: names of its hyperparameters.

    Raises:
        InputError: if one is neither the model's own nor one that the original's files have.
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


def plain(params: Parameters) -> Parameters:
    """Return hyperparameters as JSON holds them: values that it does not know become text."""
    value: Parameters = json.loads(json.dumps(params, default=str))
    return value


def restored(model: ModuleType, params: Parameters) -> Parameters:
    """Return what `plain` turned into text as the model's defaults have it."""
    defaults = model.initialize_parameters()
    texts = plain({n: v for n, v in defaults.items() if not isinstance(v, str)})
    unread = {n for n, text in texts.items() if isinstance(text, str) and params.get(n) == text}
    return {**params, **{name: defaults[name] for name in unread}}


def history(result: Any) -> dict[str, list[Any]]:
    """Return the history in what a model's `run` returned: a mapping, Keras's History, or none."""
    values = getattr(result, "history", result)
    if not isinstance(values, Mapping):
        return {}
    return {str(name): [None if v is None else float(v) for v in of] for name, of in values.items()}


def prepare(run: Path) -> None:
    """Remove predictions of an earlier training or scoring, which are not this training's."""
    for name in (PREDICTED, KEPT):
        (run / name).unlink(missing_ok=True)


def finish(run: Path, result: Any) -> None:
    """Keep the predictions that a model's `run` wrote, and write the history unless it did.

    The history comes last: it says that all is there.
    """
    if (run / PREDICTED).exists():
        (run / PREDICTED).replace(run / KEPT)
    if not (run / HISTORY).exists():
        write_json(run / HISTORY, history(result))


def predict(model: ModuleType, params: Parameters, cells: pl.Series) -> np.ndarray:
    """Return a model's predictions of a run's n test rows.

    Args:
        cells: of the test rows, n ids.

    Raises:
        InputError: if there are none, not one for each row, or one is not finite.
    """
    if hasattr(model, "predict_test"):
        predicted = np.asarray(model.predict_test(params), np.float64).reshape(-1)
    else:
        predicted = _kept(model, Path(params["output_dir"]) / KEPT, cells)
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


def _kept(model: ModuleType, path: Path, cells: pl.Series) -> np.ndarray:
    """Return the predictions that `run` wrote."""
    if not path.exists():
        raise InputError(
            f"model {model.__name__!r} left no predictions: give it a function "
            f"predict_test(params), or have its run(params) write {PREDICTED} into output_dir"
        )
    # An id of digits alone is text too.
    table = pl.read_csv(path, schema_overrides={"labels": pl.String})
    if "auc_pred" not in table.columns:
        raise InputError(f"{PREDICTED} of model {model.__name__!r} has no column auc_pred")
    if "labels" in table.columns and table["labels"].to_list() != cells.to_list():
        raise InputError(
            f"{PREDICTED} of model {model.__name__!r} has other labels than "
            "rsp_test_data.parquet has cells: its rows have to be in the same order"
        )
    return table["auc_pred"].cast(pl.Float64).to_numpy()
