"""Checkpoints for tests: written without a network, damaged, and as the original has them."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hed.config import hyperparameters, schema
from hed.training import checkpoint, choice
from hed.training.checkpoint import Policy

DEFAULTS = schema.defaults(hyperparameters.definition())


def policy(**changes: Any) -> Policy:
    names = {f"ckpt_{name}": value for name, value in changes.items()}
    return checkpoint.policy({**DEFAULTS, "epochs": 10, **names})


def write_for(epoch: int) -> Any:
    def write(place: Path) -> None:
        (place / "model.h5").write_bytes(b"weights of epoch %d" % epoch)
        with (place / "optimizer.npz").open("wb") as stream:
            np.savez(stream, step=np.array(epoch))

    return write


def save(directory: Path, epoch: int, *, best: int = 1, rules: Policy | None = None) -> None:
    state = {"epoch": epoch, "best_epoch": best, "best_metric": 0.5 / best}
    checkpoint.save(directory, rules or policy(), epoch, write=write_for(epoch), state=state)


def save_all(directory: Path, *epochs: int, best: int = 1, rules: Policy | None = None) -> Path:
    for epoch in epochs:
        save(directory, epoch, best=min(best, epoch), rules=rules)
    return directory


def found(directory: Path, **changes: Any) -> str | None:
    place = choice.find(directory, policy(**changes))
    return place.name if place else None


def damage(directory: Path, epoch: int, name: str = "model.h5") -> None:
    path = checkpoint.place_of(directory, epoch) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def make_original(directory: Path, *epochs: int, best: int) -> Path:
    """Write checkpoints as the original does, with absolute links and without our own files."""
    for epoch in epochs:
        place = directory / "epochs" / f"{epoch:03d}"
        place.mkdir(parents=True)
        (place / "model.h5").write_bytes(b"original %d" % epoch)
        crc = str(zlib.crc32(b"original %d" % epoch))
        info = {"epoch": epoch, "best_metric_last": 0.01, "checksum": crc}
        (place / "ckpt-info.json").write_text(json.dumps(info))
    (directory / "best").symlink_to(directory.resolve() / f"epochs/{best:03d}")
    (directory / "last").symlink_to(directory.resolve() / f"epochs/{epochs[-1]:03d}")
    return directory
