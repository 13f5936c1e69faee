"""What is staged."""

import os
import sys

import pytest
from staged import MIB, packed


@pytest.fixture
def data(tmp_path):
    """Return a source directory: files larger and smaller than a block, empty ones, links."""
    directory = tmp_path / "source" / "data"
    (directory / "empty").mkdir(parents=True)
    (directory / "sub").mkdir()
    (directory / "large").write_bytes(os.urandom(5 * MIB + 7))
    (directory / "sub" / "tiny").write_bytes(b"abc")
    (directory / "sub" / "nothing").write_bytes(b"")
    (directory / "run.sh").write_text("#!/bin/sh\n")
    (directory / "run.sh").chmod(0o755)
    (directory / "link").symlink_to("sub/tiny")
    return directory


@pytest.fixture
def tar(tmp_path):
    """Return a tarball of an environment, with a hard link and symlinks to inside and outside."""
    root = tmp_path / "environment"
    (root / "bin").mkdir(parents=True)
    (root / "lib").mkdir()
    (root / "lib" / "module.py").write_text("answer = 42\n")
    (root / "lib" / "big.so").write_bytes(os.urandom(3 * MIB + 1))
    os.link(root / "lib" / "big.so", root / "lib" / "hard.so")
    (root / "lib64").symlink_to("lib")
    (root / "bin" / "python3").symlink_to(sys.executable)
    (root / "bin" / "tool").write_text("#!/bin/sh\n")
    (root / "bin" / "tool").chmod(0o755)
    (root / "lib" / "nothing").write_bytes(b"")
    return packed(root, tmp_path / "env.tar.gz")
