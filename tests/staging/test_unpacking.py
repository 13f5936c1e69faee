"""Tarballs are unpacked as tar does, whole or not at all, and nowhere else."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
import types
from pathlib import Path

import psutil
import pytest
from staged import (
    MIB,
    SCRIPT,
    alone,
    command,
    leftovers,
    on_nodes,
    packed,
    run,
    tree,
)
from waiting import PATIENCE

from hed.staging import local, unpack
from hed.staging.nodes import StageError


def test_a_tarball_is_unpacked_as_tar_does_on_every_node(tmp_path, tar):
    run(on_nodes(tmp_path, "--chunk", 1, "--unpack", tar, count=2))
    (tmp_path / "expected").mkdir()
    subprocess.run(["tar", "-xf", tar, "-C", tmp_path / "expected"], check=True)
    for rank in range(2):
        got = tmp_path / str(rank) / "env"
        assert tree(got).keys() == tree(tmp_path / "expected").keys()
        assert_same_but_for_fractions_of_seconds(tree(got), tree(tmp_path / "expected"))
        assert (got / "lib/hard.so").samefile(got / "lib/big.so")
        assert sorted(os.listdir(got.parent)) == [local.HIDDEN, "env"]


def assert_same_but_for_fractions_of_seconds(got, expected):
    for name, what in expected.items():
        same = what if not isinstance(what, tuple) else (*what[:2], pytest.approx(what[2], abs=1))
        assert got[name] == same


@pytest.mark.parametrize("python", ["this", "Debian 12's"])
def test_a_python_that_has_no_safe_way_to_unpack_unpacks_safely(tmp_path, tar, python):
    # Before 3.10.12 and 3.11.4 its tarfile has no filters.
    prelude = "import tarfile; [delattr(tarfile, n) for n in ('data_filter', 'tar_filter')]"
    line = command("--to", tmp_path / "to", "--unpack", tar, prelude=prelude)
    if python != "this":
        line = command("--to", tmp_path / "to", "--unpack", tar)
        line[0] = "/usr/bin/python3"
        if "3.11.2" not in subprocess.run([line[0], "-V"], capture_output=True, text=True).stdout:
            pytest.skip("this machine has another Python than Debian 12's")
    packages = Path(psutil.__file__).parents[1]
    paths = {"PYTHONPATH": f"{SCRIPT.parents[1] / 'src'}:{packages}"}
    subprocess.run(line, env={**os.environ, **paths}, check=True, timeout=PATIENCE)
    assert (tmp_path / "to" / "env" / "bin" / "tool").stat().st_mode & 0o111
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        member = tarfile.TarInfo("../outside")
        archive.addfile(member)
    line[line.index(str(tar))] = str(tmp_path / "bad.tar")
    done = subprocess.run(line, env={**os.environ, **paths}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "bad.tar cannot be unpacked: '../outside'" in done.stderr
    assert not (tmp_path / "to" / "outside").exists()


def test_an_environment_that_lost_a_file_is_unpacked_again_but_may_grow(tmp_path, tar):
    alone(tmp_path / "to", unpack=[tar])
    (tmp_path / "to/env/lib/__pycache__").mkdir()
    assert alone(tmp_path / "to", unpack=[tar]).skipped == ["env"]
    (tmp_path / "to/env/lib/module.py").unlink()
    assert alone(tmp_path / "to", unpack=[tar]).staged == ["env"]
    assert (tmp_path / "to/env/lib/module.py").exists()


def member(name, kind=tarfile.REGTYPE, link=""):
    """Return a member of a tarball without content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "members",
    [
        [member("../escaped")],
        [member("out", tarfile.SYMTYPE, "/{outside}"), member("out/escaped")],
        [member("hard", tarfile.LNKTYPE, "../../../{outside}/precious")],
        [member("null", tarfile.CHRTYPE)],
    ],
    ids=["parent", "through a link", "hard link", "device"],
)
def test_a_tarball_that_would_leave_its_directory_is_refused(tmp_path, members):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    with tarfile.open(tmp_path / "env.tar", "w") as archive:
        for info in members:
            info.linkname = info.linkname.format(outside=str(outside).lstrip("/"))
            archive.addfile(info)
    with pytest.raises(StageError):
        alone(tmp_path / "to", unpack=[tmp_path / "env.tar"])
    assert not tree(tmp_path / "to") and not leftovers(tmp_path / "to")
    assert os.listdir(outside) == ["precious"] and (outside / "precious").stat().st_nlink == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "too early"),
        (b"no tarball" * 1000, "invalid header"),
        (unpack.ZSTD_MAGIC + bytes(2000), "zst"),
        (None, "end"),
    ],
    ids=["empty", "other", "zstd", "truncated"],
)
def test_a_tarball_that_cannot_be_read_is_refused(tmp_path, tar, content, text):
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(tar.read_bytes()[:-MIB] if content is None else content)
    with pytest.raises(StageError, match=f"broken.tar.gz cannot be unpacked: .*{text}"):
        alone(tmp_path / "to", unpack=[broken], chunk=MIB)
    assert not tree(tmp_path / "to") and not leftovers(tmp_path / "to")


def test_the_checksum_at_the_end_of_a_compressed_tarball_is_read(tmp_path, tar):
    padded = gzip.compress(gzip.decompress(tar.read_bytes()) + bytes(5 * MIB))
    tar.write_bytes(padded[:-8] + bytes(4) + padded[-4:])
    with pytest.raises(StageError, match="CRC check failed"):
        alone(tmp_path / "to", unpack=[tar])
    assert not tree(tmp_path / "to")


def test_a_tarball_cut_between_two_members_is_refused(tmp_path):
    with tarfile.open(tmp_path / "env.tar", "w") as archive:
        archive.addfile(member("first"))
        archive.addfile(member("second"))
    os.truncate(tmp_path / "env.tar", tarfile.BLOCKSIZE)
    with pytest.raises(StageError, match="ends too early"):
        alone(tmp_path / "to", unpack=[tmp_path / "env.tar"])


def test_a_tarball_of_many_gzip_members_is_unpacked_to_its_end(tmp_path, tar):
    content = gzip.decompress(tar.read_bytes())
    parts = [content[i : i + MIB // 2] for i in range(0, len(content), MIB // 2)]
    tar.write_bytes(b"".join(map(gzip.compress, parts)))
    alone(tmp_path / "to", unpack=[tar])
    assert tree(tmp_path / "to/env").keys() == tree(tmp_path / "environment").keys()


def test_zstd_is_unpacked_where_python_can(tmp_path, tar, monkeypatch):
    class ZstdFile(io.BytesIO):
        def __init__(self, packed):
            super().__init__(packed.read()[4:])

    monkeypatch.setitem(sys.modules, "compression.zstd", types.SimpleNamespace(ZstdFile=ZstdFile))
    packed_by_zstd = tmp_path / "env.tar.zst"
    packed_by_zstd.write_bytes(unpack.ZSTD_MAGIC + gzip.decompress(tar.read_bytes()))
    alone(tmp_path / "to", unpack=[packed_by_zstd])
    assert tree(tmp_path / "to/env").keys() == tree(tmp_path / "environment").keys()


def test_bytes_after_the_end_of_a_tarball_are_read_too(tmp_path, tar):
    plain = packed(tmp_path / "environment", tmp_path / "plain.tar")
    with plain.open("ab") as stream:
        stream.write(bytes(9 * MIB))
    report = alone(tmp_path / "to", unpack=[plain], chunk=MIB)
    assert report.phases["read"].bytes == plain.stat().st_size
    assert (tmp_path / "to/plain/lib/module.py").read_text() == "answer = 42\n"
