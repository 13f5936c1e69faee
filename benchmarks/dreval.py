"""What DrEval's naive predictors say of some of our partitions, to compare ours with.

Needs drevalpy, which brings PyTorch, in an environment of its own; DATA is that of the demo:

    python3 -m venv /tmp/dreval && /tmp/dreval/bin/pip install drevalpy==1.6.0 pyarrow
    for mode in by_drug by_cell random; do
        python scripts/partition.py $DATA/rsp_merged.parquet /tmp/$mode --index 7 --mode $mode
    done
    /tmp/dreval/bin/python benchmarks/dreval.py tests/dreval.json /tmp/{by_drug,by_cell,random}

tests/test_baselines.py holds ours against the file.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from drevalpy.datasets.dataset import DrugResponseDataset, FeatureDataset
from drevalpy.datasets.utils import CELL_LINE_IDENTIFIER, DRUG_IDENTIFIER
from drevalpy.models.baselines import naive_pred
from drevalpy.models.drp_model import DRPModel

CELL, DRUG, AUC = "improve_sample_id", "improve_chem_id", "auc"
MODELS = ("NaivePredictor", "NaiveCellLineMeanPredictor", "NaiveMeanEffectsPredictor")


def main() -> None:
    """Write the predictions of the test rows, by the names of partition and model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("partitions", type=Path, nargs="+")
    args = parser.parse_args()
    found = {partition.name: predictions(partition) for partition in args.partitions}
    args.output.write_text(json.dumps(found) + "\n")


def predictions(partition: Path) -> dict[str, list[float]]:
    """Return the predictions of a partition's test rows, by the model's name."""
    train, test = (
        pd.read_parquet(partition / f"rsp_{stage}_data.parquet") for stage in ("train", "test")
    )
    both = pd.concat([train, test])
    cells, drugs = (
        identities(both[CELL], CELL_LINE_IDENTIFIER),
        identities(both[DRUG], DRUG_IDENTIFIER),
    )
    models = {name: getattr(naive_pred, name)() for name in MODELS}
    return {name: predict(model, train, test, cells, drugs) for name, model in models.items()}


def identities(ids: pd.Series, view: str) -> FeatureDataset:
    """Return features that hold nothing but the ids."""
    return FeatureDataset(features={each: {view: np.array([each])} for each in ids.unique()})


def predict(
    model: DRPModel,
    train: pd.DataFrame,
    test: pd.DataFrame,
    cells: FeatureDataset,
    drugs: FeatureDataset,
) -> list[float]:
    """Return a model's predictions of the test rows."""
    output = DrugResponseDataset(
        response=train[AUC].to_numpy(np.float64),
        cell_line_ids=train[CELL].to_numpy(str),
        drug_ids=train[DRUG].to_numpy(str),
    )
    model.train(output, cells, drugs)
    pairs = test[CELL].to_numpy(str), test[DRUG].to_numpy(str)
    return [round(float(value), 9) for value in model.predict(*pairs, cells, drugs)]


if __name__ == "__main__":
    main()
