"""IMPROVE's benchmark is read as it is downloaded, and what is chosen of it."""

import gzip
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import typed
from experiments import assert_is_refused, call_script, run_script
from polars.testing import assert_frame_equal

from hed.config import settings
from hed.data import layout, options, preprocess, raw
from hed.data.tables import AUC, CELL, DRUG
from hed.errors import InputError

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "data" / "gdsc2-demo"


def write_benchmark(directory: Path, *, compressed: bool = False) -> Path:
    """Write the embedded data as the benchmark has them: three header rows, two sources."""
    root = directory / "csa_data" / "raw_data"
    for part in ("x_data", "y_data", "splits"):
        (root / part).mkdir(parents=True)
    response = pl.read_csv(DEMO / "response.tsv", separator="\t", infer_schema=False)
    sources = pl.Series("source", [["CCLE", "GDSCv2"][i % 2] for i in range(len(response))])
    table = response.select(sources, pl.all().exclude("source"), auc1=pl.col(AUC).cast(float) / 2)
    texts = {
        "y_data/response.tsv": table.write_csv(separator="\t"),
        "x_data/cancer_gene_expression.tsv": _three_headers(
            (DEMO / "cancer_gene_expression.tsv").read_text()
        ),
        "x_data/drug_mordred.tsv": (DEMO / "drug_mordred.tsv").read_text(),
    }
    for name, text in texts.items():
        if compressed:
            (root / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (root / name).write_text(text)
    return directory


def _three_headers(text: str) -> str:
    """Return an expression table with Ensembl and Entrez names above the symbols."""
    header, _, rows = text.partition("\n")
    symbols = header.split("\t")[1:]
    ensembl = "\t".join(["", *(f"ENSG{i:05d}" for i in range(len(symbols)))])
    entrez = "\t".join(["", *(str(i) for i in range(len(symbols)))])
    return "\n".join([ensembl, entrez, "\t".join(["", *symbols]), rows])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("below", ["", "csa_data", "csa_data/raw_data"])
def test_the_benchmark_its_parent_and_compressed_tables_are_found(
    tmp_path: Path, compressed: bool, below: str
) -> None:
    data = write_benchmark(tmp_path, compressed=compressed) / below
    assert layout.is_raw(data)
    found, flat = raw.read(data), raw.read(DEMO)
    assert_frame_equal(
        found.response.select(CELL, DRUG, AUC), flat.response.select(CELL, DRUG, AUC)
    )
    assert_frame_equal(found.expression, flat.expression)
    assert_frame_equal(found.descriptors, flat.descriptors)
    assert call_script("list_drugs.py", data) == call_script("list_drugs.py", DEMO)
    assert "3600" in call_script("stat.py", data)


def test_sources_and_another_column_are_chosen(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path)
    whole = raw.read(data)
    one = raw.read(data, raw.Choice(sources=("CCLE",), y_column="auc1"))
    kept = whole.response.filter(source="CCLE")
    assert one.response[AUC].to_list() == kept["auc1"].to_list()
    assert one.response[CELL].to_list() == kept[CELL].to_list()
    with pytest.raises(InputError, match="has no source 'gCSI': it has CCLE, GDSCv2"):
        raw.read(data, raw.Choice(sources=("gCSI",)))
    with pytest.raises(InputError, match="has no column 'dss1'"):
        raw.read(data, raw.Choice(y_column="dss1"))


def test_genes_of_a_list_alone_are_kept_in_the_order_of_the_table(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path)
    columns = raw.read(data).expression.columns
    listed = tmp_path / "landmark_genes.txt"
    listed.write_text(f"{columns[7][3:]}\nNOT-A-GENE\n{columns[3][3:]}\n")
    chosen = raw.read(data, raw.Choice(genes=str(listed)))
    assert chosen.expression.columns == [CELL, columns[3], columns[7]]
    assert chosen.notes[-1] == (
        "1 of 3 genes of landmark_genes.txt are not in cancer_gene_expression.tsv: NOT-A-GENE"
    )
    listed.write_text("NOT-A-GENE\n")
    with pytest.raises(InputError, match="none of the genes of"):
        raw.read(data, raw.Choice(genes=str(listed)))
    listed.write_bytes(b"\xff\xfeT\0P\0005\x003\0")  # UTF-16, as Excel's "Unicode text"
    with pytest.raises(InputError, match=r"landmark_genes\.txt is not a text file in UTF-8"):
        raw.read(data, raw.Choice(genes=str(listed)))


def test_repeated_rows_and_badly_fitted_curves_are_dropped_if_asked_for(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path)
    path = data / "csa_data/raw_data/y_data/response.tsv"
    table = pl.read_csv(path, separator="\t", infer_schema=False)
    fits = pl.Series("r2fit", [str(i / len(table)) for i in range(len(table))])
    table = table.with_columns(fits)
    pl.concat([table, table[:7]]).write_csv(path, separator="\t")
    assert raw.read(data).response.height == 3607
    assert raw.read(data, raw.Choice(drop_repeated=True)).response.height == 3600
    assert raw.read(data, raw.Choice(min_r2fit=0.75)).response.height == 900
    # A curve that was not fitted, as polars, pandas and R write it.
    fits = pl.Series("r2fit", ["NaN", "", "NA", *["0.9"] * (len(table) - 3)])
    table.with_columns(fits).write_csv(path, separator="\t")
    assert raw.read(data, raw.Choice(min_r2fit=0.75)).response.height == 3597
    table.with_columns(r2fit=pl.lit("good")).write_csv(path, separator="\t")
    assert raw.read(data).response.height == 3600
    table.drop("r2fit").write_csv(path, separator="\t")
    with pytest.raises(InputError, match="has no column 'r2fit'"):
        raw.read(data, raw.Choice(min_r2fit=0.75))


def test_the_command_chooses_too(tmp_path: Path) -> None:
    data, out = write_benchmark(tmp_path), tmp_path / "out"
    options = ("--sources", "CCLE", "--y-column", "auc1", "--ge-scaling", "power_yj")
    assert run_script("preprocess.py", data, out, *options).returncode == 0
    assert len(pl.read_parquet(out / "rsp_merged.parquet")) == 1800
    result = run_script("preprocess.py", data, out, "--sources", "gCSI")
    assert_is_refused(result, "no source 'gCSI'")


def test_drugs_are_numbered_as_an_experiment_with_the_same_choice_does(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path)
    path = data / "csa_data/raw_data/y_data/response.tsv"
    table = pl.read_csv(path, separator="\t", infer_schema=False)
    elsewhere = pl.when(pl.col(DRUG) == "5-Fluorouracil").then(pl.lit("GDSCv2"))
    table.with_columns(source=elsewhere.otherwise("source")).write_csv(path, separator="\t")
    choice = ("--sources", "CCLE", "--y-column", "auc1")
    assert call_script("list_drugs.py", data, 0) == "000 5-Fluorouracil\n"
    assert call_script("list_drugs.py", data, 0, *choice) == "000 AZD5363\n"
    out = tmp_path / "out"
    assert run_script("preprocess.py", data, out, *choice).returncode == 0
    assert call_script("list_drugs.py", out, 0) == "000 AZD5363\n"
    refused = run_script("list_drugs.py", out, *choice)
    assert_is_refused(refused, "has no raw tables of which a part could be chosen")


def test_what_came_later_leaves_older_experiments_as_they_were() -> None:
    scaling = {"ge_scaling": "std", "md_scaling": "std"}
    usual = settings.complete({}, ROOT)["preprocess"]
    assert preprocess.decisive(usual) == scaling
    assert preprocess.choice(usual) == raw.ALL
    assert preprocess.decisive({**usual, "sources": ["CCLE"]})["sources"] == ["CCLE"]
    assert options.of_preprocess({**usual, "min_r2fit": 0.5}).endswith("--min-r2fit 0.5")


def test_the_landmark_genes_are_found_beside_the_tables(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path)
    chosen = raw.Choice(genes="landmark")
    with pytest.raises(InputError, match=r"landmark needs landmark_genes\.txt.*gene"):
        raw.read(data, chosen)
    gene = raw.read(data).expression.columns[7]
    (data / "csa_data/raw_data/x_data/landmark_genes.txt").write_text(gene.removeprefix("ge."))
    assert raw.read(data, chosen).expression.columns == [CELL, gene]
    completed = settings.complete({"preprocess": {"genes": "landmark"}}, ROOT)
    assert completed["preprocess"]["genes"] == "landmark"


def test_the_older_name_of_the_descriptors_is_known(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path)
    path = data / "csa_data/raw_data/x_data/drug_mordred.tsv"
    path.rename(path.with_name("drug_mordred_descriptor.tsv"))
    assert_frame_equal(raw.read(data).descriptors, raw.read(DEMO).descriptors)


def run_of(place: Path) -> Path:
    """Write a UPF of one run and the hyperparameters of a fast model; return the run."""
    (place / "upf.json").write_text('{"id": "RUN003", "index": 3}\n')
    (place / "dflts.json").write_text(json.dumps({"model": "cell_means"}))
    return place / "output/EXP000/run/RUN003"


@pytest.mark.xdist_group("workflow")
def test_the_benchmark_is_a_data_source(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path, compressed=True)
    run_of(tmp_path)
    chosen = tmp_path / "mine.yaml"
    chosen.write_text("preprocess:\n  sources: [GDSCv2]\n")
    source = f"data_source={data}"
    said = typed.told(tmp_path, source, options=["-n"])
    assert "2 sources (CCLE, GDSCv2), and all are used" in said
    shutil.rmtree(tmp_path / "output", ignore_errors=True)
    options = ["--until=aggregate", "--configfile", str(chosen)]
    assert "2 sources" not in typed.told(tmp_path, source, options=options)
    written = pl.read_parquet(tmp_path / "output/EXP000/data/rsp_merged.parquet")
    assert written["source"].unique().to_list() == ["GDSCv2"]
