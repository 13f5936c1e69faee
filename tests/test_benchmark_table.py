"""The tables of docs/performance.md are those of the committed results."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    page = ROOT / "docs/performance.md"
    copy = tmp_path / "performance.md"
    copy.write_text(page.read_text())
    subprocess.run([sys.executable, ROOT / "benchmarks/table.py", copy], check=True)
    assert copy.read_text() == page.read_text(), "renew it with make docs"
