"""Drugs are grouped by their scaffolds, and what cannot be read is said."""

import polars as pl
import pytest
from experiments import assert_is_refused, run_script

from hed.data import groups, smiles
from hed.errors import InputError

# Two with a benzene ring, one with a pyridine, two of one indole, ethanol; the last is no molecule.
DRUGS = {
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "nicotinamide": "NC(=O)c1cccnc1",
    "tryptophan": "NC(Cc1c[nH]c2ccccc12)C(=O)O",
    "serotonin": "NCCc1c[nH]c2ccc(O)cc12",
    "ethanol": "CCO",
    "salt": "no molecule",
}


def write(path, *, column="smiles", separator="\t"):
    lines = [separator.join(("improve_chem_id", column)), *map(separator.join, DRUGS.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_scaffolds_are_the_rings_and_what_links_them():
    found = smiles.scaffolds(DRUGS)
    assert found["paracetamol"] == found["aspirin"] == "c1ccccc1"
    assert found["tryptophan"] == found["serotonin"] == "c1ccc2[nH]ccc2c1"
    assert found["ethanol"] == smiles.ACYCLIC
    assert "salt" not in found


def test_drugs_of_one_scaffold_are_a_group_and_the_largest_comes_first():
    found = smiles.cluster({**DRUGS, "phenol": "Oc1ccccc1"}, 1.0)
    sizes = found.group_by("group", maintain_order=True).len()
    assert sizes.rows() == [
        ("c1ccccc1", 3),
        ("c1ccc2[nH]ccc2c1", 2),
        ("c1ccncc1", 1),
        ("no ring", 1),
    ]


def test_similar_scaffolds_are_one_group_if_less_similarity_will_do():
    found = smiles.cluster(DRUGS, 0.2)
    of = dict(found.select("improve_chem_id", "group").iter_rows())
    assert of["aspirin"] == of["nicotinamide"] != of["tryptophan"]
    assert of["ethanol"] == smiles.ACYCLIC
    centre = found.filter(pl.col("group") != smiles.ACYCLIC)
    assert set(centre["group"]) <= set(centre["scaffold"])


@pytest.mark.parametrize(("column", "separator"), [("smiles", "\t"), ("canSMILES", ",")])
def test_the_command_writes_groups_that_a_partition_takes(tmp_path, column, separator):
    table = write(tmp_path / "drugs.txt", column=column, separator=separator)
    out = tmp_path / "scaffolds.tsv"
    result = run_script("group_scaffolds.py", table, out)
    assert result.returncode == 0, result.stderr
    assert "1 SMILES cannot be read, in no group: salt" in result.stderr
    found = groups.read(out)
    assert found.of.keys() == DRUGS.keys() - {"salt"}
    assert found.names[0] == "c1ccc2[nH]ccc2c1"


def test_a_table_without_smiles_and_a_senseless_similarity_are_refused(tmp_path):
    table = write(tmp_path / "drugs.tsv", column="structure")
    result = run_script("group_scaffolds.py", table, tmp_path / "out.tsv")
    assert_is_refused(result, "needs a column 'smiles'; its columns are improve_chem_id, structure")
    assert not (tmp_path / "out.tsv").exists()
    with pytest.raises(InputError, match="above 0 and at most 1, not 1.5"):
        smiles.cluster(DRUGS, 1.5)
