"""Structures of drugs: fingerprints, and clusters of scaffolds, by rdkit where it is installed."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from hed.data import tables, text
from hed.data.groups import GROUP
from hed.data.tables import DRUG
from hed.errors import InputError
from hed.words import listed

# Morgan fingerprints of radius 2, as in ECFP4: Rogers and Hahn, J. Chem. Inf. Model. 50 (2010).
RADIUS, BITS = 2, 2048
# The name in IMPROVE's benchmark, and others.
COLUMNS = ("smiles", "canSMILES", "SMILES")
SCAFFOLD = "scaffold"
# For a molecule without a ring, which has no scaffold.
ACYCLIC = "no ring"


def read(path: Path) -> dict[str, str]:
    """Return the SMILES of drugs in a table with the columns improve_chem_id and smiles.

    Raises:
        InputError: if it is missing or no such table.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    table = text.read(path, text.recognise(path), infer_schema=False)
    tables.require_columns(table.columns, [DRUG], path)
    named = [name for name in COLUMNS if name in table.columns]
    if not named:
        raise InputError(
            f"{path} needs a column {COLUMNS[0]!r}; its columns are {listed(table.columns)}"
        )
    return dict(table.select(DRUG, named[0]).drop_nulls().iter_rows())


def fingerprints(smiles: Mapping[str, str]) -> dict[str, Any]:
    """Return the Morgan fingerprint (rdkit's bit vector) of each drug whose SMILES can be read.

    Raises:
        InputError: if rdkit is not installed.
    """
    rdkit = _rdkit()
    generator = rdkit.fingerprints.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    return {drug: generator.GetFingerprint(each) for drug, each in _molecules(smiles).items()}


def dissimilarity(one: Any, others: list[Any]) -> list[float]:
    """Return 1 - the Tanimoto similarity of a fingerprint to each of others."""
    return [1 - each for each in _rdkit().structures.BulkTanimotoSimilarity(one, others)]


def scaffolds(smiles: Mapping[str, str]) -> dict[str, str]:
    """Return each drug's Murcko scaffold (rings and what links them) as canonical SMILES.

    Bemis and Murcko, J. Med. Chem. 39 (1996). `ACYCLIC` where there is no ring; a drug whose SMILES
    cannot be read has none.

    Raises:
        InputError: if rdkit is not installed.
    """
    murcko = _rdkit().murcko
    return {
        drug: murcko.MurckoScaffoldSmiles(mol=each) or ACYCLIC
        for drug, each in _molecules(smiles).items()
    }


def cluster(smiles: Mapping[str, str], similarity: float) -> pl.DataFrame:
    """Return drugs grouped by their scaffolds: improve_chem_id, group, scaffold.

    Scaffolds are clustered by Butina, J. Chem. Inf. Comput. Sci. 39 (1999): each has at least this
    `similarity` (Tanimoto, Morgan fingerprints) to the scaffold that names its group. The largest
    group comes first.

    Raises:
        InputError: if rdkit is not installed, or the similarity is not above 0 and at most 1.
    """
    if not 0 < similarity <= 1:
        raise InputError(f"the similarity must be above 0 and at most 1, not {similarity:g}")
    own = scaffolds(smiles)
    centre = _centres(sorted({each for each in own.values() if each != ACYCLIC}), similarity)
    groups = {drug: centre.get(each, ACYCLIC) for drug, each in own.items()}
    sizes = Counter(groups.values())
    table = pl.DataFrame({DRUG: [*own], GROUP: [*groups.values()], SCAFFOLD: [*own.values()]})
    size = pl.col(GROUP).replace_strict(dict(sizes), return_dtype=pl.Int64)
    return table.sort(-size, GROUP, maintain_order=True)


def _centres(each: list[str], similarity: float) -> dict[str, str]:
    """Return the scaffold at the centre of each scaffold's cluster."""
    own = dict(zip(each, each, strict=True))
    # A scaffold that rdkit cannot read back is a group by itself.
    found = fingerprints(own)
    names, prints = list(found), list(found.values())
    apart = [d for i in range(1, len(prints)) for d in dissimilarity(prints[i], prints[:i])]
    clusters = _rdkit().butina.ClusterData(apart, len(prints), 1 - similarity, isDistData=True)
    return own | {names[one]: names[members[0]] for members in clusters for one in members}


def _molecules(smiles: Mapping[str, str]) -> dict[str, Any]:
    """Return the molecules of the drugs whose SMILES can be read."""
    parse = _rdkit().chem.MolFromSmiles
    read = {drug: parse(each) for drug, each in smiles.items()}
    return {drug: molecule for drug, molecule in read.items() if molecule is not None}


def _rdkit() -> SimpleNamespace:
    """Return the parts of rdkit that are used, silenced: errors are reported otherwise."""
    try:
        from rdkit import Chem, DataStructs, RDLogger
        from rdkit.Chem import rdFingerprintGenerator
        from rdkit.Chem.Scaffolds import MurckoScaffold
        from rdkit.ML.Cluster import Butina
    except ImportError:
        raise InputError("SMILES need rdkit: pip install rdkit") from None
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    return SimpleNamespace(
        chem=Chem,
        structures=DataStructs,
        fingerprints=rdFingerprintGenerator,
        murcko=MurckoScaffold,
        butina=Butina,
    )
