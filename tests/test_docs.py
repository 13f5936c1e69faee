"""What the documentation names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (?P<what>.+?) \|.*\| (?P<tests>[^|]*) \|$")


def test_each_row_of_what_may_go_wrong_names_its_test() -> None:
    text = (ROOT / "docs" / "blocks.md").read_text().partition("## What may go wrong")[2]
    rows = [found for line in text.splitlines() if (found := ROW.match(line))][2:]
    assert len(rows) > 12
    for row in rows:
        named = re.findall(r"`(?:(test_\w+\.py))?(?:::)?(test_\w+?)?(?:_?\.\.\.)?`", row["tests"])
        assert named, row["what"]
        module = ""
        for file, start in named:
            module = file or module
            assert f"def {start}" in (ROOT / "tests" / module).read_text(), (module, start)


def test_the_files_that_developers_are_sent_to_are_there() -> None:
    text = (ROOT / "docs" / "developing.md").read_text()
    named = set(re.findall(r"`([\w./-]+\.(?:py|json|yaml|smk))`", text))
    named -= {
        "experiment.json",
        "node.json",
        "site.yaml",
    }  # an experiment's, its spool's, a profile's
    assert len(named) > 20
    for name in named:
        places = (ROOT, ROOT / "src" / "hed", ROOT / "src", ROOT / "tests", ROOT / "src/hed/config")
        assert any((place / name).exists() for place in places), name


PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_of_the_project_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    folders = "scripts|benchmarks|src|rules|envs|config|profiles|tests"
    for name in set(re.findall(rf"(?<![\w/.-])((?:{folders})/[\w./-]*[\w])", text)):
        assert (ROOT / name).exists() or "NAME" in name, name
    # hed.sh is the user's own script.
    for name in set(re.findall(r"\bhed\.(?!sh\b)((?:[a-z_]+\.)*[a-z_]+)\b", text)):
        assert is_there(name.split(".")), name


def is_there(parts: list[str]) -> bool:
    """Tell whether `hed.` and these parts are a module, or something in one."""
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath("src", "hed", *parts[:count])
        if place.is_dir():
            return count == len(parts) or is_in(place / "__init__.py", parts[count])
        if place.with_suffix(".py").is_file():
            return count == len(parts) or is_in(place.with_suffix(".py"), parts[count])
    return False


def is_in(module: Path, name: str) -> bool:
    """Tell whether a module defines a name."""
    return re.search(rf"^(?:def |class )?{name}\b", module.read_text(), re.MULTILINE) is not None
