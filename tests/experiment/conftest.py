"""Starts of experiments on data of three drugs and two cells."""

from pathlib import Path

import polars as pl
import pytest
from starting import ROOT, Starter

from hed import variables
from hed.config import hyperparameters
from hed.config.hyperparameters import UpfLine
from hed.data import tables
from hed.experiment import opening


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Let no test see which experiment another one opened."""
    for variable in (variables.EXPERIMENT, variables.LAUNCHER, variables.WARM):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)


@pytest.fixture
def data(tmp_path):
    """Return a preprocessed data set of three drugs and two cells."""
    data = tmp_path / "data"
    data.mkdir()
    pairs = [(cell, drug) for drug in ("z", "b", "a") for cell in ("c2", "c1")]
    response = pl.DataFrame(pairs, schema=[tables.CELL, tables.DRUG], orient="row")
    response.with_columns(auc=pl.lit(0.5)).write_parquet(data / tables.RESPONSE_FILE)
    for kind in (tables.EXPRESSION, tables.DESCRIPTORS):
        ids = response[kind.id].unique(maintain_order=True)
        values = [float(i) for i in range(len(ids))]
        pl.DataFrame({kind.id: ids, f"{kind.prefix}x": values}).write_parquet(data / kind.file)
    return data


@pytest.fixture
def raw_data(tmp_path, data):
    """Return the same data set as raw tables."""
    raw = tmp_path / "raw"
    raw.mkdir()
    names = ("response.tsv", "cancer_gene_expression.tsv", "drug_mordred.tsv")
    for name, table in zip(names, tables.FILES, strict=True):
        pl.read_parquet(data / table).write_csv(raw / name, separator="\t")
    return raw


@pytest.fixture
def config(tmp_path, data):
    """Return a function that makes a configuration, some keys other than usual."""
    (tmp_path / "dflts.json").write_text('{"epochs": 20}')

    def config(**keys):
        usual = {
            "output": str(tmp_path / "output"),
            "data_source": str(data),
            "dflts": str(tmp_path / "dflts.json"),
        }
        return {**usual, **{key: str(v) if isinstance(v, Path) else v for key, v in keys.items()}}

    return config


@pytest.fixture
def look(config):
    """Return a function that plans an experiment as `snakemake -n` does, and ends."""

    def look(**keys):
        opened = opening.open_or_exit(config(**keys), ROOT, main=True)
        if opened.locked:
            opened.locked.close()
            opened.locked = None
        return opened

    return look


@pytest.fixture
def run(look):
    """Return a function that starts an experiment and ends, and tells its name."""

    def run(**keys):
        opened = look(**keys)
        opening.start(opened)
        opened.locked.close()
        return opened.name

    return run


@pytest.fixture
def refuse(look):
    """Return a function that tells the sentence with which a start is refused."""

    def refuse(**keys):
        with pytest.raises(SystemExit) as caught:
            opening.start(look(**keys))
        assert caught.value.code.startswith("error: ")
        assert "\n" not in caught.value.code
        return caught.value.code

    return refuse


@pytest.fixture
def upf(tmp_path):
    """Return a function that writes a UPF of runs: id, index and overrides."""

    def upf(*runs, name="runs.json"):
        lines = [UpfLine(run[0], run[1], dict(run[2:])) for run in runs]
        (tmp_path / name).write_text(hyperparameters.format_upf(lines))
        return tmp_path / name

    return upf


@pytest.fixture
def starters():
    """Return a function that makes some starters, which have imported all they need."""
    made = []

    def starters(count):
        made.extend(Starter() for _ in range(count))
        for starter in made:
            starter.ask({"sede": 1})
        assert all("sede" in starter.answer() for starter in made)
        return made

    yield starters
    for starter in made:
        starter.end()


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"
