"""The packages are as docs/developing.md draws them."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

from hed import names, packages

RULES = sorted((Path(__file__).parents[1] / "rules").glob("*.smk"))
# A file of an experiment, or of a run.
FILE = re.compile(r'"(run/\{\{?run\}?\}/)?([a-z_]+\.[a-z]+)"')


def test_no_package_imports_itself_by_a_detour() -> None:
    list(TopologicalSorter(packages.arrows()).static_order())  # refuses a circle


def test_what_computes_knows_nothing_of_the_pilot() -> None:
    arrows = packages.arrows()
    assert {name for name, others in arrows.items() if "pilot" in others} == {"preflight"}
    assert not arrows["training"] & {"experiment", "site", "pilot"}
    assert not arrows["data"] & {"experiment", "training", "config"}
    assert not arrows["experiment"] & {"watching", "answers", "pilot", "site"}
    assert "watching" not in arrows["pilot"]


def test_one_package_alone_knows_parsl() -> None:
    source = Path(packages.__file__).parent
    importing = {
        file.relative_to(source).parts[:2]
        for file in source.rglob("*.py")
        for line in file.read_text().splitlines()
        if re.match(r"\s*(from|import) parsl\b", line)
    }
    assert importing == {("pilot", "parsl")}


def test_the_files_of_an_experiment_are_named_in_one_place() -> None:
    shared = {value for value in vars(names).values() if isinstance(value, str) and "." in value}
    shared |= {names.CHECKPOINTS}
    source = Path(packages.__file__).parent
    # The rules spell out the files that they declare, so that they can be read by themselves.
    declared = {match for rule in RULES for match in FILE.findall(rule.read_text())}
    assert {name for place, name in declared if place} <= shared
    shared |= {name for _, name in declared}
    again = [
        f"{file.relative_to(source)}: {node.value}"
        for file in source.rglob("*.py")
        if file.name != "names.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in shared
    ]
    assert again == []


def test_every_command_says_for_whom_it_is() -> None:
    scripts = Path(__file__).parents[1] / "scripts"
    listed = [line for line in packages.commands(scripts) if line.startswith("- ")]
    assert len(listed) == len(list(scripts.glob("*.py")))


def test_the_picture_has_every_package_but_those_without_arrows() -> None:
    drawn = "\n".join(packages.picture())
    for name in ("answers", "data", "experiment", "pilot", "site", "training", "uno"):
        assert f" {name}" in drawn
