"""What the documentation names is there."""

import re
from pathlib import Path

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
