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
