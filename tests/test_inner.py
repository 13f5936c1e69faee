"""A run's Snakemake by a fork: what its script says, and nothing that it does not say."""

import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

from hed.pilot import inner
from hed.pilot.inner import Inner

ROOT = Path(__file__).parents[1]
SNAKEMAKE = f"{sys.executable} -m snakemake"
# As Snakemake 9 writes it.
LINE = (
    f"cd /home/me && export HED_EXPERIMENT='/home/me/out put' && {SNAKEMAKE} "
    "--snakefile '/home/me/Snakefile' --target-jobs 'train:run=RUN000' --config 'a=b $c; d' "
    "&& exit 0 || exit 1"
)


def script(line: str) -> str:
    return f'#!/bin/sh\n# properties = {{"type": "group"}}\n{line}\n\n'


def test_what_snakemake_writes_is_understood() -> None:
    arguments = ["--snakefile", "/home/me/Snakefile", "--target-jobs", "train:run=RUN000"]
    assert inner.parse(script(LINE)) == Inner(
        "/home/me",
        {"HED_EXPERIMENT": "/home/me/out put"},
        [*arguments, "--config", "a=b $c; d"],
    )


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("cd /home/me", "cd $HOME"),
        LINE.replace("cd /home/me", "source env.sh"),
        LINE.replace("exit 0 || exit 1", "exit 1"),
        LINE.replace(sys.executable, "/other/python"),
        LINE.replace(" && exit 0", " ; true && exit 0"),
        LINE.replace("'a=b $c; d'", '"$c"'),
        LINE.replace("'a=b $c; d'", "a >file"),
        f"{LINE}\necho done",
        "sleep 1",
    ],
)
def test_all_else_is_left_to_the_shell(line: str) -> None:
    assert inner.parse(script(line)) is None


@pytest.mark.parametrize(("status", "text"), [(0, "--version"), (1, "--no-such-option")])
def test_a_fork_prints_and_ends_as_the_script_would(tmp_path: Path, status: int, text: str) -> None:
    path = tmp_path / "job.sh"
    path.write_text(script(f"cd {tmp_path} && {SNAKEMAKE} {text} && exit 0 || exit 1"))
    program = (
        "import sys; from pathlib import Path; from hed.pilot import inner\n"
        "inner.import_all(); assert inner.is_imported()\n"
        f"with Path({str(tmp_path / 'out')!r}).open('ab') as out:\n"
        f"    child = inner.start({str(path)!r}, out)\n"
        "    assert isinstance(child, inner.Fork)\n"
        "    sys.exit(child.wait(60))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == status
    with (tmp_path / "expected").open("wb") as out:
        told = subprocess.run(["/bin/sh", path], stdout=out, stderr=subprocess.STDOUT, check=False)
    assert told.returncode == status
    ours, theirs = ((tmp_path / name).read_text().splitlines() for name in ("out", "expected"))
    assert ours[-1] == theirs[-1]


def test_no_run_waits_for_what_reads_tables() -> None:
    """Neither the rules import it nor the process from which a run's Snakemake is forked."""
    rules = [*ROOT.glob("rules/*.smk"), ROOT / "Snakefile"]
    lines = [line for path in rules for line in path.read_text().splitlines()]
    imports = [line for line in lines if line.startswith(("from hed", "import hed"))]
    assert imports
    code = "\n".join(
        [
            "import sys",
            "from hed.pilot import inner",
            "inner.import_all()",
            *imports,
            "print(*sys.modules)",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    loaded = done.stdout.split()
    assert "snakemake.workflow" in loaded
    assert not {"polars", "pyarrow", "pandas", "sklearn", "tensorflow"} & {*loaded}
