"""docs/configuration.md says what the schemas say."""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_reference_page_is_the_one_that_the_schemas_give(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/document.py", tmp_path], check=True)
    assert (tmp_path / "configuration.md").read_text() == (
        ROOT / "docs/configuration.md"
    ).read_text(), "run `make docs`"


def test_the_conda_environment_has_the_versions_of_the_lock() -> None:
    dependencies = yaml.safe_load((ROOT / "envs/workflow.yaml").read_text())["dependencies"]
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    pins = dependencies[-1]["pip"]
    assert pins
    for pin in pins:
        assert any(line.split(" ")[0] == pin for line in lock), pin
