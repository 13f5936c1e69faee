"""Staging brings data and software whole to every node, and reads each byte once."""

import io
import json
import os
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from staged import (
    BROKEN,
    CORRUPT,
    COUNT,
    LIMITED,
    MIB,
    SLOW,
    alone,
    command,
    leftovers,
    on_nodes,
    packed,
    run,
    tree,
)
from waiting import PATIENCE, wait_for

from hed import lock
from hed.staging import checksums, local, sinks, transfer
from hed.staging.nodes import Alone, NoSpace, StageError, started_by_mpi


@given(st.integers(1, 300 * MIB), st.integers(1, 300))
def test_shares_cover_a_chunk_and_begin_at_blocks(length, size):
    counts = transfer.shares(length, size)
    starts = [sum(counts[:rank]) for rank in range(size) if counts[rank]]
    assert len(counts) == size and sum(counts) == length and min(counts) >= 0
    assert all(start % checksums.BLOCK == 0 for start in starts)
    assert max(counts) - min(counts) <= checksums.BLOCK


def total_read(errors):
    return sum(int(line.split()[1]) for line in errors.splitlines() if line.startswith("read "))


def test_four_nodes_get_every_file_and_read_each_byte_once(tmp_path, data):
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    line = on_nodes(tmp_path, "--json", "--chunk", 4, data, finally_=COUNT)
    output, errors = run(line)
    report = json.loads(output)
    assert sum(report["read_by_node"]) == size and min(report["read_by_node"]) >= MIB
    imports = total_read(run(on_nodes(tmp_path, data / "empty", finally_=COUNT))[1])
    assert total_read(errors) - imports == pytest.approx(size, abs=2**16)
    expected = tree(Path(shutil.copytree(data, tmp_path / "followed")))
    for rank in range(4):
        assert tree(tmp_path / str(rank) / "data") == expected
        assert not leftovers(tmp_path / str(rank))


def test_what_is_there_and_whole_is_left_alone_and_not_read(tmp_path, data, tar):
    line = on_nodes(tmp_path, "--json", data, "--unpack", tar, count=2)
    run(line)
    kept = [tmp_path / "0/data/large", tmp_path / "0/env/lib/big.so"]
    before = [path.stat().st_ino for path in kept]
    assert json.loads(run(line)[0])["read_by_node"] == [0, 0]
    shutil.rmtree(tmp_path / "1")
    report = json.loads(run(line)[0])
    assert report["staged"] == ["data", "env"] and min(report["read_by_node"]) > MIB
    assert report["phases"]["write"]["bytes"] == 5 * MIB + 7 + 2 * len(b"abc") + len("#!/bin/sh\n")
    assert [path.stat().st_ino for path in kept] == before
    assert tree(tmp_path / "1") == tree(tmp_path / "0")


def test_only_one_rank_of_a_node_reads_and_writes(tmp_path, data):
    staging = command("--json", "--to", tmp_path / "to", data / "large", finally_=COUNT)
    output, errors = run(["mpiexec", "-n", "3", *staging])
    assert json.loads(output)["read_by_node"] == [5 * MIB + 7]
    reads = sorted(int(line.split()[1]) for line in errors.splitlines())
    assert len(reads) == 3 and reads[2] - reads[1] > 5 * MIB


def test_a_node_that_does_not_start_its_process_keeps_the_others_for_a_while_only(tmp_path, data):
    staging = shlex.join(map(str, command("--to", tmp_path / "to", data / "large")))
    line = ["mpiexec", "-n", "2", "sh", "-c", f"[ $PMI_RANK = 1 ] && exec sleep 3000; {staging}"]
    # Hydra ends the others only if the one that is killed has come as far as its PMI.
    environment = {**os.environ, "HED_STAGE_START": "10"}
    done = subprocess.run(line, env=environment, capture_output=True, timeout=PATIENCE)
    assert done.returncode != 0
    assert not (tmp_path / "to").exists()


def await_line(stream, text):
    """Read lines until one is `text`."""
    assert any(line.strip() == text for line in stream), f"no line {text!r}"


def is_free(work):
    """Tell whether nobody holds a directory."""
    held = lock.acquire(work)
    if held is not None:
        held.close()
    return held is not None


def gone(directory):
    """Wait until no living staging holds its working directory."""
    for work in leftovers(directory):
        wait_for(partial(is_free, work), f"nobody holds {work}")


@pytest.mark.parametrize("what", ["large", "env"])
def test_a_kill_in_the_middle_leaves_nothing_final_and_the_next_staging_is_whole(
    tmp_path, data, tar, what
):
    sources = [data / "large"] if what == "large" else ["--unpack", tar]
    line = on_nodes(tmp_path, "--chunk", 2, *sources, count=2, prelude=SLOW)
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        await_line(process.stderr, "written")
        process.kill()
    for rank in range(2):
        gone(tmp_path / str(rank))
        assert leftovers(tmp_path / str(rank)) and not tree(tmp_path / str(rank))
    run(on_nodes(tmp_path, *sources, count=2))
    for rank in range(2):
        assert os.listdir(tmp_path / str(rank) / local.HIDDEN).count(f"{what}.json") == 1
        assert not leftovers(tmp_path / str(rank))
    assert tree(tmp_path / "0") == tree(tmp_path / "1") and tree(tmp_path / "0")


def on_small_disk(node, line):
    """Return the command line that runs another where a directory is a disk of 4 MiB."""
    rest = f'"$@"; code=$?; find {node} -type f ! -name .lock; exit $code'
    mount = f"mount -t tmpfs -o size=4m tmpfs {node} && {rest}"
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "sh", "-c", mount, "sh", *line]


@pytest.mark.parametrize("what", ["data", "zeros"])
def test_a_small_disk_of_one_node_ends_all_with_one_sentence_and_status_3(tmp_path, data, what):
    (tmp_path / "1").mkdir()
    zeros = tmp_path / "environment" / "zeros"
    zeros.parent.mkdir()
    zeros.write_bytes(bytes(20 * MIB))
    tar = packed(zeros.parent, tmp_path / "zeros.tar.gz")
    line = on_nodes(tmp_path, *([data] if what == "data" else ["--unpack", tar]), count=3)
    output, errors = run(on_small_disk(tmp_path / "1", line), status=3)
    assert output == ""
    (sentence,) = [text for text in errors.splitlines() if text.startswith("error:")]
    assert f":1: too little space in {tmp_path / '1'}: at least " in sentence
    assert "Traceback" not in errors
    needed, free = (int(word.replace(",", "")) for word in sentence.split() if word[0].isdigit())
    assert 0 < free <= 4 * MIB and free < needed
    for rank in (0, 2):
        assert not tree(tmp_path / str(rank)) and not leftovers(tmp_path / str(rank))


def test_a_file_that_one_node_cannot_write_ends_all_of_them(tmp_path, data):
    line = on_nodes(tmp_path, data, "--chunk", 1, count=3, prelude=LIMITED)
    _, errors = run(line, status=1)
    assert errors.count(":2: ") == 1 and "File too large" in errors and "Traceback" not in errors
    for rank in range(3):
        assert not tree(tmp_path / str(rank)) and not leftovers(tmp_path / str(rank))


def test_a_node_without_its_directory_ends_all_of_them(tmp_path, data):
    (tmp_path / "1").write_text("no directory")
    _, errors = run(on_nodes(tmp_path, data, count=2), status=1)
    assert f":1: {tmp_path / '1'}" in errors and "Traceback" not in errors
    assert not tree(tmp_path / "0")


def test_an_error_that_nobody_foresaw_on_one_node_does_not_hang_the_others(tmp_path, data):
    done = subprocess.run(
        on_nodes(tmp_path, data, count=3, prelude=BROKEN),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode not in (0, 3) and "Error" in done.stderr
    assert not tree(tmp_path / "2")


def test_bytes_that_change_on_their_way_are_not_written_under_the_final_name(tmp_path, data):
    line = on_nodes(tmp_path, data / "large", count=2, prelude=CORRUPT)
    _, errors = run(line, status=1)
    assert ":1: bytes were changed" in errors
    assert not tree(tmp_path / "0") and not tree(tmp_path / "1")


def test_a_mistake_of_the_user_is_said_once(tmp_path):
    _, errors = run(on_nodes(tmp_path, tmp_path / "missing", count=2), status=1)
    assert errors.count("error: no such file or directory") == 1 and "Traceback" not in errors


def test_without_mpi4py_each_process_copies_for_itself(tmp_path, data):
    line = command("--to", tmp_path / "to", data, prelude="sys.modules['mpi4py'] = None")
    subprocess.run(line, check=True, env={**os.environ, "PMI_RANK": "0"}, timeout=PATIENCE)
    expected = tree(Path(shutil.copytree(data, tmp_path / "followed")))
    assert tree(tmp_path / "to" / "data") == expected
    _, errors = run([*line, "--mpi"], status=1)
    assert errors.startswith("error: --mpi needs mpi4py") and "Traceback" not in errors


def test_mpi_is_not_imported_without_a_launcher(tmp_path, data):
    line = command("--to", tmp_path, data, finally_='print("mpi4py" in sys.modules)')
    assert run(line)[0].endswith("False\n")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"PMI_RANK": "0"}, True),
        ({"PALS_RANKID": "3"}, True),
        ({"OMPI_COMM_WORLD_RANK": "0"}, True),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, False),
        ({"SLURM_PROCID": "0"}, False),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, True),
    ],
)
def test_a_launcher_of_mpi_programs_is_known_by_what_it_sets(environ, expected):
    assert started_by_mpi(environ) is expected


@pytest.mark.parametrize("change", ["size", "time", "content of the copy", "loss of the copy"])
def test_a_changed_source_or_a_damaged_copy_is_staged_again(tmp_path, data, change):
    source, to = data / "large", tmp_path / "to"
    alone(to, source, data)
    copy, when = to / "large", source.stat().st_mtime_ns
    if change == "size":
        source.write_bytes(b"shorter")
        os.utime(source, ns=(when, when))
    elif change == "time":
        source.write_bytes(os.urandom(5 * MIB + 7))
    elif change == "content of the copy":
        with copy.open("r+b") as stream:
            stream.write(b"damage")
        os.utime(copy, ns=(when, when))
    else:
        copy.unlink()
    expected = ["large"] if "copy" in change else ["large", "data"]
    assert alone(to, source, data).staged == expected
    assert copy.read_bytes() == source.read_bytes() == (to / "data/large").read_bytes()
    assert alone(to, source, data).staged == []


class Changing(Alone):
    """A node that sees a source change when it opens it."""

    def __init__(self, path, content):
        super().__init__()
        self.path, self.content = path, content

    def open(self, path):
        self.path.write_bytes(self.content)
        return super().open(path)


@pytest.mark.parametrize("content", [b"", b"changed" * MIB], ids=["empty", "longer"])
def test_a_source_that_changes_while_it_is_staged_is_refused(tmp_path, data, content):
    with pytest.raises(StageError, match="while it was staged: stage it again"):
        alone(tmp_path / "to", data / "large", nodes=Changing(data / "large", content))
    assert not tree(tmp_path / "to") and not leftovers(tmp_path / "to")


def test_two_stagings_at_the_same_time_do_not_harm_each_other(tmp_path, data, tar):
    to = tmp_path / "to"
    line = command("--to", to, data, data / "large", "--unpack", tar)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, [line] * 3))
    assert sorted(os.listdir(to)) == [local.HIDDEN, "data", "env", "large"]
    assert alone(to, data, data / "large", unpack=[tar]).staged == []
    assert not leftovers(to)


def test_leftovers_of_the_dead_go_and_work_of_the_living_stays(tmp_path, data):
    hidden = tmp_path / "to" / local.HIDDEN
    (hidden / "work-dead").mkdir(parents=True)
    (hidden / "work-dead" / "half").write_bytes(b"half")
    with lock.acquire(hidden / "work-living"):
        alone(tmp_path / "to", data)
        assert [path.name for path in leftovers(tmp_path / "to")] == ["work-living"]


def test_the_second_of_two_stagings_keeps_what_the_first_has_finished(tmp_path, data, tar):
    to = tmp_path / "to"

    class Overtaken(Alone):
        def open(self, path):
            if not (to / "env").exists():
                alone(to, unpack=[tar])
                self.inode = (to / "env").stat().st_ino
            return super().open(path)

    second = Overtaken()
    alone(to, unpack=[tar], nodes=second)
    assert (to / "env").stat().st_ino == second.inode and not leftovers(to)


def test_a_write_that_failed_once_is_not_forgotten_and_stops_the_reading(
    tmp_path, data, monkeypatch
):
    (data / "large").write_bytes(bytes(20 * MIB))
    written, read = [], []

    def fail_once(stream, block):
        written.append(len(block))
        if len(written) == 1:
            raise OSError(5, "Input/output error")

    class Counting(Alone):
        def exchange(self, buffer, counts):
            read.append(len(buffer))
            return super().exchange(buffer, counts)

    monkeypatch.setattr(sinks, "write_all", fail_once)
    with pytest.raises(StageError, match="Input/output error"):
        alone(tmp_path / "to", data / "large", nodes=Counting(), chunk=MIB)
    assert sum(read) <= transfer.BUFFERS * MIB


def test_a_file_that_takes_its_bytes_in_parts_has_all_of_them(tmp_path):
    class Partial(io.FileIO):
        def write(self, data):
            return super().write(data[:3])

    with Partial(tmp_path / "file", "x+b") as stream:
        sinks.write_all(stream, memoryview(b"content"))
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_a_name_that_is_something_else_already_is_replaced(tmp_path, data, kind):
    to = tmp_path / "to"
    to.mkdir()
    (data.parent / "other").write_text("other")
    for name in ("data", "large"):
        if kind == "file":
            (to / name).write_text("other")
        elif kind == "directory":
            (to / name).mkdir()
            (to / name / "other").write_text("other")
        else:
            (to / name).symlink_to(data.parent / "other")
    alone(to, data, data / "large")
    assert (to / "large").read_bytes() == (to / "data/large").read_bytes()
    assert not (to / "large").is_symlink() and not (to / "data/other").exists()
    assert (data.parent / "other").read_text() == "other"


def test_mistakes_are_refused_in_one_sentence(tmp_path, data):
    (data.parent / "loop").mkdir()
    (data.parent / "loop" / "again").symlink_to("../loop")
    (data.parent / "dangling").mkdir()
    (data.parent / "dangling" / "link").symlink_to("nowhere")
    (data.parent / "pipe").mkdir()
    os.mkfifo(data.parent / "pipe" / "fifo")
    for sources, tarballs, text in (
        ([data / "large", data / "sub/../large"], [], "would both be staged as large"),
        ([data.parent / "loop"], [], "link to a directory above it"),
        ([data.parent / "dangling"], [], "dangling link"),
        ([data.parent / "pipe"], [], "neither a file nor a directory"),
        ([Path("/")], [], "has no name"),
        ([], [data / "large"], "is not a tarball: its name must end with"),
        ([], [data.parent / "missing.tar"], "no such file"),
    ):
        with pytest.raises(StageError, match=text):
            alone(tmp_path / "to", *sources, unpack=tarballs)
    with pytest.raises(StageError, match="is in .* already"):
        alone(data, data / "large")
    assert not (tmp_path / "to").exists()


def test_the_room_is_asked_for_before_anything_is_read(tmp_path, data, monkeypatch):
    full = shutil._ntuple_diskusage(10 * MIB, 9 * MIB, MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    nodes = Changing(data / "large", b"read after all")
    with pytest.raises(NoSpace, match=r"at least 5,2\d\d,\d\d\d bytes are needed, 1,048,576 are"):
        alone(tmp_path / "to", data / "large", nodes=nodes)
    assert (data / "large").stat().st_size == 5 * MIB + 7 and not leftovers(tmp_path / "to")


def test_the_table_is_aligned_and_says_what_was_skipped(tmp_path, data):
    table = alone(tmp_path / "to", data).as_table().splitlines()
    assert table[0].split() == ["phase", "bytes", "seconds", "GB/s"]
    phases = [line.split()[0] for line in table[1:7]]
    assert phases == ["read", "exchange", "check", "write", "unpack", "total"]
    assert len({len(line) for line in table[:7]}) == 1 and table[7] == "staged: data"
    assert alone(tmp_path / "to", data).as_table().endswith("already there: data")
