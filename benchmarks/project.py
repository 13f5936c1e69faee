"""A copy of this project whose scripts do nothing, so that only what surrounds them costs time.

The Snakefile, the rules and the profile are the real ones; `train.py` sleeps for the seconds in
durations/RUN, and the other scripts write empty files. Or the scripts are the real ones, too, and
train a small Uno for one epoch.
"""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hed.config import hyperparameters
from hed.data import generate, preprocess

ROOT = Path(__file__).parents[1]
TILES = 12
DFLTS = "dflts.json"

SITE = """\
scheduler: local
walltime: "1000:00:00"
init_blocks: {blocks}
max_blocks: {blocks}
tiles_per_node: {tiles}
check_device: false
local_dir: {local}
"""

PARTITION = """\
import sys, pathlib
pathlib.Path(sys.argv[2]).mkdir(parents=True)
"""

TRAIN = """\
import sys, time, pathlib
run = pathlib.Path(sys.argv[1])
time.sleep(float((pathlib.Path(__file__).parents[1] / "durations" / run.name).read_text()))
(run / "history.txt").touch()
"""

SCORE = """\
import sys, pathlib
for name in ("test_scores.json", "test_y_data_predicted.csv", "baseline_scores.json"):
    (pathlib.Path(sys.argv[1]) / name).touch()
"""

# Says when each run is submitted. With PLAIN in its place, the run does without Snakemake.
SUBMIT = """\
#!/bin/bash
read -r -d '' script <"$1"
[[ $script =~ :run=([^\\ \\',]+) ]]
run=${{BASH_REMATCH[1]}}
{plain}
job=$({root}/src/hed/pilot/tools/submit "$1") || exit
echo "$job $EPOCHREALTIME $run" >>{project}/submitted.txt
echo "$job"
"""

PLAIN = """\
read -r seconds <{project}/durations/$run
cat >"$1" <<END
# --target-jobs train:run=$run
sleep $seconds
cd {project}/output/EXP000 && mkdir -p run/$run markers && cd run/$run || exit
touch history.txt test_scores.json test_y_data_predicted.csv baseline_scores.json
echo >../../markers/marker-${{run#RUN}}.txt
END
"""


def make(
    project: Path, durations: Sequence[float], *, blocks: int, inner: bool, real: bool = False
) -> None:
    """Write the project.

    Args:
        project: its directory, new.
        durations: seconds of each training.
        blocks: of 12 tiles.
        inner: a run's jobs are started by a Snakemake on its tile, as they really are.
        real: with the real scripts; the durations count for nothing.
    """
    (project / "durations").mkdir(parents=True)
    for index, seconds in enumerate(durations):
        (project / "durations" / f"RUN{index:03d}").write_text(f"{seconds:.3f}\n")
    _data(project / "data", len(durations))
    for name in ("rules", "config", "envs", "profiles"):
        shutil.copytree(ROOT / name, project / name, symlinks=True)
    shutil.copy(ROOT / "Snakefile", project)
    (project / "src").symlink_to(ROOT / "src")
    if real:
        (project / "scripts").symlink_to(ROOT / "scripts")
        _dflts(project / DFLTS)
    else:
        _scripts(project)
    _profile(project, blocks, inner=inner)


def command(project: Path) -> list[str]:
    """Return what one would type in the project's directory."""
    settings = [f"data_source={project / 'data'}", f"output={project / 'output'}"]
    if (project / DFLTS).exists():
        settings.append(f"dflts={project / DFLTS}")
    snakemake = str(Path(sys.executable).parent / "snakemake")
    # A pause as in docs/overheads.md, so that what is measured there stays comparable.
    pause = ["--seconds-between-status-checks", "2"]
    options = ["--profile", "profiles/workstation", *pause, "--until", "mark"]
    return [snakemake, *options, "--config", "experiment=EXP000", *settings]


def _dflts(path: Path) -> None:
    """Write hyperparameters of one epoch of the demo's small network."""
    dflts = hyperparameters.read_dflts(ROOT / "config" / "dflts-demo.json")
    path.write_text(json.dumps({**dflts, "epochs": 1}))


def _data(directory: Path, drugs: int) -> None:
    """Write a small data set of so many drugs."""
    tables = generate.generate(
        drugs=drugs, cells=100, rows=30 * drugs, genes=5, descriptors=5, seed=0
    )
    preprocess.write(tables, directory)


def _scripts(project: Path) -> None:
    (project / "scripts").mkdir()
    for name, text in {"partition": PARTITION, "train": TRAIN, "score": SCORE}.items():
        (project / "scripts" / f"{name}.py").write_text(text)


def _profile(project: Path, blocks: int, *, inner: bool) -> None:
    """Set the number of blocks, and put a submission in place that says when it happened."""
    profile = project / "profiles" / "workstation"
    site = SITE.format(blocks=blocks, tiles=TILES, local=project / "local")
    (profile / "site.yaml").write_text(site)
    submit = project / "submit"
    plain = "" if inner else PLAIN.format(project=project)
    submit.write_text(SUBMIT.format(plain=plain, root=ROOT, project=project))
    submit.chmod(0o755)
    config = (profile / "config.yaml").read_text()
    line = f"cluster-generic-submit-cmd: {submit}"
    ours, count = re.subn(r"^cluster-generic-submit-cmd: .*$", line, config, flags=re.MULTILINE)
    if count != 1:
        raise ValueError("the profile does not say how runs are submitted")
    (profile / "config.yaml").write_text(ours)
