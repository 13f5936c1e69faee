"""What tests start experiments with."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from hed.names import RECORD

ROOT = Path(__file__).parents[1]
# Opens and starts the experiment of each configuration that it reads, and says which it got.
STARTER = """
import json, sys
from pathlib import Path
from hed.experiment import opening

opened = []
for line in sys.stdin:
    try:
        opened.append(opening.open_or_exit(json.loads(line), Path(sys.argv[1]), main=True))
        opening.start(opened[-1])
        print(opened[-1].name, flush=True)
    except SystemExit as refusal:
        print(refusal.code, flush=True)
"""


class Starter:
    """Another process that starts experiments and keeps them until it ends."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, config):
        """Ask for a start."""
        self.process.stdin.write(json.dumps(config) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """Return the name of the experiment, or why there is none."""
        return self.process.stdout.readline().rstrip("\n")

    def end(self, number=signal.SIGKILL):
        """End the process by a signal."""
        self.process.send_signal(number)
        self.process.communicate()


def record(output, name="EXP000"):
    """Return the record of an experiment."""
    return json.loads((output / name / RECORD).read_text())
