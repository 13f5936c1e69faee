"""A file appears whole or not at all, and a command says in one sentence what it may not do."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hed import command, files
from hed.errors import InputError

# Writes half a file, says so, and waits to be killed.
HALF = """
import sys, time
from hed.files import replacing

with replacing(sys.argv[1]) as path, path.open("w") as stream:
    stream.write("half")
    stream.flush()
    print("half", flush=True)
    time.sleep(60)
"""
texts = st.text('a7é"\\\n\u2028')
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def names(directory):
    """Return the names in a directory, hidden ones too."""
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("old", [None, "old"])
def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path, old):
    path = tmp_path / "scores.csv"
    if old:
        path.write_text(old)
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert names(tmp_path) == ([path.name] if old else [])
    assert not old or path.read_text() == old


@pytest.mark.parametrize("old", [None, "old"])
def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path, old):
    path = tmp_path / "scores.csv"
    if old:
        path.write_text(old)
    writer = [sys.executable, "-c", HALF, str(path)]
    with subprocess.Popen(writer, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert path.exists() == bool(old)
    assert not old or path.read_text() == old
    files.write_text(path, "new")
    assert path.read_text() == "new"


def test_what_a_kill_leaves_behind_is_hidden(tmp_path):
    with files.replacing(tmp_path / "scores.csv") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".scores.csv.")


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["scores.csv"]


def test_missing_directories_are_made(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "c.txt", "text")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "text"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_that_the_user_s_umask_gives(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "a.txt", "text")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


def test_bytes_are_written_as_they_are(tmp_path):
    files.write_bytes(tmp_path / "a", b"one\r\ntwo\xff")
    assert (tmp_path / "a").read_bytes() == b"one\r\ntwo\xff"


@given(value=json_values)
def test_written_json_is_read_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "value.json"
    files.write_json(path, value)
    assert files.read_json(path) == value


def test_processes_agree_on_a_value_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def link(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "precision.json"
    assert files.agree(path, "float32") == "float32"
    assert files.agree(path, "bfloat16") == "float32"
    # The process that was first is late, then another that has looked too early; or it has died.
    path.unlink()
    late = threading.Timer(0.3, path.write_text, ['"float32"'])
    late.start()
    assert files.agree(path, "bfloat16") == "float32"
    path.unlink()
    now = iter(range(0, 100, 6))
    monkeypatch.setattr(files.time, "monotonic", lambda: next(now))
    assert files.agree(path, "bfloat16") == "bfloat16"
    assert [each.name for each in tmp_path.glob("[!.]*")] == ["precision.json"]


def test_json_that_is_missing_or_damaged_is_refused_with_its_path(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(InputError, match=f"^no such file: {path}$"):
        files.read_json(path)
    for content in (b"", b"{", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"^{path} is not valid JSON: "):
            files.read_json(path)


def end_with(error):
    """Return how a command ends whose main raises `error`."""

    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        command.run(main)
    return caught.value.code


@pytest.fixture(autouse=True)
def keep_interrupt():
    """Give Ctrl-C back to pytest, since every command takes it."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def test_a_user_s_mistake_ends_a_command_with_its_sentence():
    assert end_with(InputError("no such drug")) == "error: no such drug"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
        (OSError(28, "No space left on device", "/tmp/x"), "/tmp/x: No space left on device"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(122, "Disk quota exceeded"), "Disk quota exceeded"),
    ],
)
def test_what_the_system_refuses_ends_a_command_with_one_sentence(error, sentence):
    assert end_with(error) == f"error: {sentence}"


@pytest.mark.parametrize("error", [OSError("odd"), OSError(5, "I/O error"), ValueError("odd")])
def test_an_error_of_the_program_keeps_its_traceback(error):
    def main():
        raise error

    with pytest.raises(type(error)) as caught:
        command.run(main)
    assert caught.value is error


def test_a_full_disk_is_one_sentence_and_the_old_file_stays():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    code = "from hed import command; command.run(lambda: print('x' * 9_000_000))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.stderr == "error: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize(("goes_on", "kept"), [(False, True), (True, False)])
def test_only_a_process_that_goes_on_looks_for_garbage_after_a_command(goes_on, kept):
    code = "import gc; from hed import command, modules; modules.SERVED.set(GOES_ON); "
    code += "command.run(lambda: None); print(gc.get_freeze_count() > 0)"
    line = [sys.executable, "-c", code.replace("GOES_ON", str(goes_on))]
    assert subprocess.run(line, capture_output=True, text=True).stdout == f"{kept}\n"


def test_of_several_processes_that_agree_the_first_decides(tmp_path):
    path = tmp_path / "decided.json"
    code = "import sys; from pathlib import Path; from hed import files; sys.stdin.read(); "
    code += "print(files.agree(Path(sys.argv[1]), int(sys.argv[2])))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, path, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    said = {process.communicate("")[0] for process in started}
    assert len(said) == 1
    assert files.agree(path, 9) == int(said.pop())
    assert [each.name for each in tmp_path.iterdir()] == ["decided.json"]
