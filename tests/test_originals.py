"""What users of the original have: their experiments, through every command and every restart."""

import json
import shutil
from pathlib import Path

import originals
import polars as pl
import pytest
import typed
from experiments import call_script, digest_tree, run_script

from hed.data import preprocess
from hed.experiment import parameters

ROOT = Path(__file__).parents[1]
# A drug of this index has no row to be tested on, in the original's experiment.
EMPTY = "RUN011"

pytestmark = pytest.mark.xdist_group("originals")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the embedded data and an experiment of the original."""
    place = tmp_path_factory.mktemp("originals")
    scaled = {"ge_scaling": "std", "md_scaling": "std"}
    preprocess.preprocess(ROOT / "data/gdsc2-demo", place / "data", **scaled)
    originals.write(place / "data", place / "EXP011")
    return place


COMMANDS = {
    "convergence.py": "1 unfinished",
    "epochs.py": "total: 247/480",
    "extract.py": "010,0.3",
    "high_error_drugs.py": "index 10",
    "list_cells.py": "no-11",
    "rank_cells.py": "recall",
    "summary.py": "1 of 24 runs had no row to be tested on: index 11",
    "progress.py": f"EMPTY: {EMPTY}",
}


@pytest.mark.parametrize(("name", "told"), COMMANDS.items())
def test_a_command_reads_an_experiment_of_the_original(place: Path, name: str, told: str) -> None:
    done = run_script(name, place / "EXP011")
    assert done.returncode == 0, done.stderr
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("aggregate.py",),
        ("top_drugs.py", "pred", "no-11", 3),
        ("shrink_logs.py",),
        ("clean_ckpts.py", 2, "--dry-run"),
    ],
)
def test_a_command_with_arguments_reads_one_too(
    place: Path, tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    experiment = shutil.copytree(place / "EXP011", tmp_path / "EXP011", symlinks=True)
    name, *more = arguments
    call_script(str(name), experiment, *more)


def test_figures_report_export_and_comparison_are_made_of_one(place: Path, tmp_path: Path) -> None:
    experiment = place / "EXP011"
    for figure in ("errors", "convergence", "predictions", "ranking"):
        call_script("plot.py", figure, experiment, tmp_path / f"{figure}.png")
    call_script("report.py", experiment, tmp_path / "report.html")
    call_script("export.py", experiment, "--output", tmp_path / "EXP011.tgz")
    other = shutil.copytree(experiment, tmp_path / "EXP012", symlinks=True)
    assert "EXP012" in call_script("compare.py", experiment, other)
    assert len(list(tmp_path.glob("*.*"))) == 6


def snakemake(place: Path, *settings: str) -> str:
    """Type the command up to the tables; return what it prints."""
    return typed.told(place, *settings, options=["--until=aggregate"])


def upf(place: Path, *indices: int) -> str:
    """Write a UPF of some of the original's runs."""
    path = place / "some.json"
    lines = [json.dumps({"id": f"RUN{index:03d}", "index": index}) for index in indices]
    path.write_text("\n".join(lines))
    return f"upf={path}"


def test_one_is_restarted_continued_extended_and_restarted_again(place: Path) -> None:
    before = digest_tree(place / "EXP011")
    files = [f"data_source={place}/data", f"dflts={place}/EXP011/dflts-e20-a6.json"]
    start = [*files, "experiment=A", f"restart_from={place}/EXP011"]
    said = snakemake(place, *start, upf(place, 0, 10, 11, 12))
    assert "note: ignored in dflts-e20-a6.json: input_dir, calc_infer_scores" in said
    first, second = (place / "output" / name for name in "AB")
    assert "resuming after epoch 7" in (first / "out/out-RUN012-train.txt").read_text()
    check_normalised(first)
    assert "Job stats" in said
    assert "Job stats" not in snakemake(place, *start, upf(place, 0, 10, 11, 12))
    snakemake(place, *start, upf(place, 0, 10, 11, 12, 13))
    assert len(list((first / "out").glob("*-train.txt"))) == 2
    snakemake(place, *files, "experiment=B", "restart_from=A", upf(place, 0, 10, 11, 12, 13))
    assert not list((second / "out").glob("*-train.txt"))
    check_normalised(second)
    for name in ("scores.csv", "epochs.txt"):
        assert (first / name).read_text() == (second / name).read_text()
    assert digest_tree(place / "EXP011") == before


def check_normalised(experiment: Path) -> None:
    """Check what was taken over from the original."""
    runs = experiment / "run"
    text = (runs / "RUN000/parameters.txt").read_text()
    assert parameters.read(runs / "RUN000") == json.loads(text)
    history = json.loads((runs / "RUN000/history.txt").read_text())
    assert history["val_loss"][:16] == [None] * 16 and len(history["val_loss"]) == 20
    assert len(list((runs / "RUN000/ckpts/epochs").glob("*/ckpt-info.json"))) == 19
    scores = json.loads((runs / "RUN010/test_scores.json").read_text(), parse_constant=pytest.fail)
    assert scores["pcc"] is None
    assert (runs / EMPTY / "test-empty.txt").exists()
    table = pl.read_parquet(experiment / "scores.parquet")
    assert table.filter(run=EMPTY).select("rows", "mse").row(0) == (0, None)
    trained = call_script("convergence.py", experiment, "--runs", "--format", "csv")
    rows = {line.split(",")[0]: line for line in trained.splitlines()}
    assert rows["RUN000"].split(",")[3:6] == ["20", "20", "2"]
    assert rows["RUN012"].split(",")[3] == "20"


def test_a_drug_without_features_leaves_the_indices_of_the_others(
    place: Path, tmp_path: Path
) -> None:
    drugs = pl.read_parquet(place / "data/rsp_merged.parquet")["improve_chem_id"]
    names = drugs.unique(maintain_order=True).to_list()
    data = tmp_path / "data"
    shutil.copytree(place / "data", data)
    table = data / "md_merged_data.parquet"
    pl.read_parquet(table).filter(pl.col("improve_chem_id") != names[5]).write_parquet(table)
    (tmp_path / "dflts.json").write_text(json.dumps({"model": "cell_means"}))
    settings = [f"data_source={data}", f"dflts={tmp_path}/dflts.json", "experiment=E"]
    indices = (0, 5, 6, 23)
    said = snakemake(tmp_path, *settings, upf(tmp_path, *indices))
    assert f"no row to be tested on for 1 of 24 drugs, whose indices stay: 5 {names[5]}" in said
    experiment = tmp_path / "output" / "E"
    for index in indices:
        run = experiment / "run" / f"RUN{index:03d}"
        assert (run / "test-empty.txt").exists() == (index == 5)
        cells = pl.read_csv(run / "test_y_data_predicted.csv")
        assert len(cells) == (0 if index == 5 else (drugs == names[index]).sum())
    assert len(list((experiment / "markers").iterdir())) == len(indices)
    told = call_script("high_error_drugs.py", experiment, "--all", "--format", "csv")
    assert [line.split(",")[1] for line in told.splitlines()[1:]].count(names[5]) == 0
    assert "EMPTY: RUN005" in call_script("progress.py", experiment)
