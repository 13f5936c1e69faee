"""The whole chain on this machine: Snakemake, the pilot, Parsl, and three tiles to run on."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
from waiting import PATIENCE, wait_for

from hed import variables

ROOT = Path(__file__).parent.parent
TILES = 3
MARK = "HED_TEST_CHAIN"
# A command ends with the process of pytest that started it, however that ends.
MORTAL = ("setpriv", "--pdeathsig", "KILL", "--")
# The profiles let a login node rest between two looks at all jobs.
QUICKLY = ("--seconds-between-status-checks", "2")

SITE = f"""\
scheduler: local
walltime: "1000:00:00"
tiles_per_node: {TILES}
device_variable: ZE_AFFINITY_MASK
device_hierarchy: FLAT
check_device: false
local_dir: /tmp
"""

SNAKEFILE = """\
workdir: config["output"]


rule all:
    input:
        [f"markers/marker-{run:03d}.txt" for run in range(int(config["runs"]))],


rule train:
    output:
        "run/RUN{run}/history.txt",
    group:
        "run"
    params:
        launch=config["launcher"],
        seconds=config["seconds"],
        note=config["note"],
    shell:
        "{params.launch} sh {params.note} {wildcards.run} {params.seconds} >{output}"


rule mark:
    input:
        "run/RUN{run}/history.txt",
    output:
        "markers/marker-{run}.txt",
    group:
        "run"
    shell:
        "cp {input} {output}"
"""

# Stands for a training: says when it starts and ends, on which tile, in which process.
NOTE = """\
echo "$1 $ZE_AFFINITY_MASK $$ $(date +%s.%N) start" >>notes.txt
while [ -e "${0%/*}/hold" ]; do sleep 0.1; done
sleep "$2"
echo "$1 $ZE_AFFINITY_MASK $$ $(date +%s.%N) end" >>notes.txt
"""


class Chain:
    """A project of its own with a copy of a profile, three tiles and trainings that sleep."""

    def __init__(
        self,
        root: Path,
        *,
        runs: int,
        seconds: float,
        site: str = SITE,
        profile: str = "workstation",
    ) -> None:
        self.root, self.output = root, root / "EXP000"
        self.spool = self.output / ".pilot"
        # As a user makes one for a machine of his own.
        self.profile = root / "profiles" / f"my {profile}"
        shutil.copytree(ROOT / "profiles" / profile, self.profile)
        (root / "profiles" / "default").symlink_to(ROOT / "profiles" / "default")
        (self.profile / "site.yaml").write_text(site)
        (root / "Snakefile").write_text(SNAKEFILE)
        self.note = root / "note.sh"
        self.note.write_text(NOTE)
        self.settings = {"runs": runs, "seconds": seconds}
        # As the project's own Snakefile has it: a fork server, and a server for each tile.
        self.warm = True

    def command(self) -> list[str]:
        """Return the words that are typed."""
        settings = {**self.settings, "output": self.output, "note": self.note}
        profile = str(self.profile.relative_to(self.root))
        words = [f"{key}={value}" for key, value in settings.items()]
        return ["snakemake", "--profile", profile, *QUICKLY, "--config", *words]

    def variables(self) -> dict[str, str]:
        """Return what the environment has more than that of the tests."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {MARK: str(self.root), "HED_PILOT_PERIOD": "1", "PATH": path}
        return own | ({variables.WARM: str(self.root)} if self.warm else {})

    def start(self, *before: str) -> subprocess.Popen[str]:
        """Type the command, after words such as nohup."""
        return subprocess.Popen(
            [*MORTAL, *before, *self.command()],
            cwd=self.root,
            env={**os.environ, **self.variables()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def hold(self) -> None:
        """Let no training end until `release`, so that a test meets all of them."""
        (self.root / "hold").touch()

    def release(self) -> None:
        """Let trainings end."""
        (self.root / "hold").unlink(missing_ok=True)

    def run(self) -> str:
        """Type the command, wait for its success and return what it printed."""
        return self.finish(self.start())

    def finish(self, command: subprocess.Popen[str]) -> str:
        """Let trainings end, wait for the success of a command and return what it printed."""
        printed = self.end(command)
        assert command.returncode == 0, printed
        return printed

    def end(self, command: subprocess.Popen[str]) -> str:
        """Let trainings end, wait for the end of a command and return what it printed."""
        self.release()
        return self.await_end(command)

    def await_end(self, command: subprocess.Popen[str]) -> str:
        """Wait for the end of a command and return what it printed.

        Trainings that are held go on: one that ended now might have no marker yet, and end twice.
        """
        return command.communicate(timeout=PATIENCE)[0]

    def notes(self, kind: str = "") -> list[tuple[str, str, int, float, str]]:
        """Return what the trainings said: run, tile, process, time, and start or end."""
        path = self.output / "notes.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        words = (line.split() for line in lines)
        notes = [(run, tile, int(pid), float(at), what) for run, tile, pid, at, what in words]
        return [note for note in notes if kind in note[4]]

    def processes(self, part: str = "") -> list[psutil.Process]:
        """Return the processes that the command started, those with `part` in their command."""
        return [process for process in psutil.process_iter() if self._is_ours(process, part)]

    def _is_ours(self, process: psutil.Process, part: str) -> bool:
        with suppress(psutil.Error):
            ours = process.environ().get(MARK) == str(self.root)
            return ours and part in " ".join(process.cmdline())
        return False

    def ancestors(self, process: psutil.Process, part: str) -> list[psutil.Process]:
        """Return the ancestors of a process with `part` in their command, the nearest first."""
        return [each for each in process.parents() if self._is_ours(each, part)]

    def kill(self, part: str) -> None:
        """Kill -9 one process with `part` in its command."""
        self.processes(part)[0].send_signal(signal.SIGKILL)

    def await_trainings(self, number: int) -> None:
        """Wait until so many trainings have started."""
        wait_for(lambda: len(self.notes("start")) >= number)

    def await_losses(self, number: int) -> None:
        """Wait until the pilot has taken so many runs to be lost."""
        lost = self.spool / "lost"
        wait_for(lambda: len(list(lost.iterdir())) >= number, f"{number} runs are lost")

    def assert_is_finished(self) -> None:
        """Check that each run ended once, that no tile had two, and that nothing is left."""
        ended = sorted(note[0] for note in self.notes("end"))
        assert ended == [f"{run:03d}" for run in range(self.settings["runs"])]
        assert len(list((self.output / "markers").iterdir())) == self.settings["runs"]
        self.assert_is_gone()

    def assert_is_gone(self) -> None:
        """Check that no process is left, and that every block was given back."""
        wait_for(lambda: not self.processes())
        assert not list((self.spool / "blocks").iterdir())
