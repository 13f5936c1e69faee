"""docs/configuration.md says what the schemas say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_reference_page_is_the_one_that_the_schemas_give(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/document.py", tmp_path], check=True)
    assert (tmp_path / "configuration.md").read_text() == (
        ROOT / "docs/configuration.md"
    ).read_text(), "run `make docs`"
