"""How tests stage: in this process, or on four nodes that are processes of MPI."""

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from waiting import PATIENCE

from hed.staging import local, stage
from hed.staging.nodes import Alone

SCRIPT = Path(__file__).parents[1] / "scripts/stage.py"
MIB = 2**20

# Prepended to the command in a process of its own.
PRELUDE = """
import os, runpy, sys, time
from hed.staging import nodes, sinks
{prelude}
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    {finally_}
"""
# What this thread alone has read, which is the one that reads the source. Processes share the
# stream, hence whole lines at once.
COUNT = """os.write(2, b"read %s" % open("/proc/thread-self/io", "rb").readline().split(b" ")[1])"""
SLOW = """
import tarfile
def slowly(module, name):
    write = getattr(module, name)
    def slow(*arguments, **options):
        write(*arguments, **options)
        os.write(2, b"written\\n")
        time.sleep(60)
    setattr(module, name, slow)
slowly(sinks, "write_all")
slowly(tarfile, "copyfileobj")
"""
BROKEN = """
def broken(*arguments):
    raise ZeroDivisionError
if os.environ["PMI_RANK"] == "2":
    sinks.FileSink.write = broken
"""
# MPI has to start first: it needs larger files in memory.
LIMITED = """
import resource
import hed.staging.mpi
if os.environ["PMI_RANK"] == "2":
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
"""
CORRUPT = """
from hed.staging import mpi
exchange = mpi.Leaders.exchange
def corrupting(self, buffer, counts):
    arrive = exchange(self, buffer, counts)
    def damage():
        arrive()
        if self.rank == 1:
            buffer[0] ^= 1
    return damage
mpi.Leaders.exchange = corrupting
"""


def packed(root, path):
    """Pack the content of a directory."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        archive.add(root, ".")
    return path


def command(*arguments, prelude="", finally_="pass"):
    """Return the command line of a staging, which runs `prelude` first."""
    if not prelude and finally_ == "pass":
        return [sys.executable, str(SCRIPT), *map(str, arguments)]
    program = PRELUDE.format(prelude=prelude, finally_=finally_)
    return [sys.executable, "-c", program, str(SCRIPT), *map(str, arguments)]


def on_nodes(to, *arguments, count=4, **options):
    """Return the command line of a staging on several nodes, to the directories `to`/RANK."""
    staging = command("--ranks-are-nodes", "--to", to / "{rank}", *arguments, **options)
    return ["mpiexec", "-n", str(count), *staging]


def run(line, status=0):
    """Run a command line to its end and return its output and errors."""
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def tree(directory):
    """Return all final files, directories and links below a directory, and what they hold."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if not name.startswith(local.HIDDEN):
            found[name] = describe(path)
    return found


def describe(path):
    if path.is_symlink():
        return os.readlink(path)
    if path.is_dir():
        return None
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return content, path.stat().st_mode & 0o111, path.stat().st_mtime


def leftovers(directory):
    return list(directory.glob(f"{local.HIDDEN}/work-*"))


def alone(to, *sources, unpack=(), nodes=None, **options):
    """Stage in this process, without MPI."""
    return stage.stage(nodes or Alone(), sources, unpack=unpack, to=to, **options)
