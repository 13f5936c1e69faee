"""The configuration of an experiment, checked and with its paths resolved."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hed.config import schema
from hed.errors import InputError
from hed.names import LANDMARK, RUNS


@dataclass(frozen=True)
class Settings:
    """What `config/config.yaml` says, with defaults filled in and paths absolute."""

    root: Path
    output: Path
    experiment: str
    restart_from: Path | None
    data_source: Path
    upf: Path | None
    dflts: Path | None
    repeats: int
    seed: int
    preprocess: Mapping[str, Any]
    partition: Mapping[str, Any]
    local_dir: Path


def complete(config: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return `config` with the schema's defaults, after checking it.

    Args:
        root: the project's top directory, which holds `config/schema.yaml`.

    Raises:
        InputError: if a key is unknown, or a value is not allowed or has no effect.
    """
    definition = yaml.safe_load((root / "config" / "schema.yaml").read_text())
    # `--config upf=` on the command line is null: it stands for an empty text, or is left out.
    texts = {k for k, of in definition["properties"].items() if of.get("type") == "string"}
    empty = {key: "" for key, value in config.items() if value is None and key in texts}
    given = {key: value for key, value in config.items() if value is not None} | empty
    for key, text in given.items():
        # From --config, Snakemake parses only True and False as booleans.
        is_switch = definition["properties"].get(key, {}).get("type") == "boolean"
        if is_switch and text in ("true", "false"):
            given[key] = text == "true"
    schema.check(given, definition, source="the configuration")
    completed = schema.complete(given, definition)
    _check_mode(completed["partition"], definition["properties"]["partition"])
    if groups := completed["partition"]["groups"]:
        completed["partition"]["groups"] = str(_path(groups, root))
    genes = completed["preprocess"]["genes"]
    if genes not in ("", LANDMARK):
        completed["preprocess"]["genes"] = str(_path(genes, root))  # for jobs too
    return completed


def _check_mode(partition: Mapping[str, Any], definition: schema.Schema) -> None:
    """Refuse what has no effect in the mode of the partition, as the `modes` of its schema tell."""
    mode = partition["mode"]
    for name, part in definition["properties"].items():
        modes = part.get("modes", [mode])
        if mode not in modes and partition[name] != part["default"]:
            raise InputError(
                f"partition: {name} has no effect in mode {mode}: leave it out, or set mode to "
                + " or ".join(modes)
            )


def read(config: Mapping[str, Any], root: Path) -> Settings:
    """Return the settings of a completed configuration; relative paths start at `root`.

    `restart_from` may also be the name of an experiment in `output`.

    Raises:
        InputError: if a file or directory that it names is missing.
    """
    output = _path(config["output"], root)
    restart_from = config["restart_from"].rstrip("/")
    settings = Settings(
        root=root,
        output=output,
        experiment=config["experiment"],
        restart_from=_optional(restart_from, root if "/" in restart_from else output),
        data_source=_path(config["data_source"], root),
        upf=_optional(config["upf"], root),
        dflts=_optional(config["dflts"], root),
        repeats=config["repeats"],
        seed=config["seed"],
        preprocess=config["preprocess"],
        partition=config["partition"],
        local_dir=Path(config["local_dir"]).expanduser(),
    )
    _check_paths(settings)
    return settings


def _path(name: str, base: Path) -> Path:
    return base / Path(name).expanduser()


def _optional(name: str, base: Path) -> Path | None:
    return _path(name, base) if name else None


def _check_paths(settings: Settings) -> None:
    for key in ("output", "data_source", "restart_from", "local_dir"):
        # Snakemake takes them for wildcards.
        if brace := re.search("[{}]", str(getattr(settings, key))):
            raise InputError(f"{key}: rename {getattr(settings, key)}, which has a {brace[0]}")
    for key in ("data_source", "restart_from"):
        path = getattr(settings, key)
        if path is not None and not path.is_dir():
            raise InputError(f"{key}: no such directory: {path}")
    if settings.restart_from and not (settings.restart_from / RUNS).is_dir():
        raise InputError(
            f"restart_from: {settings.restart_from} is not an experiment: it has no run/"
        )
    for key in ("upf", "dflts"):
        path = getattr(settings, key)
        if path is not None and not path.is_file():
            problem = "is a directory, not a file:" if path.is_dir() else "no such file:"
            raise InputError(f"{key}: {problem} {path}")
    if settings.local_dir.exists() and not settings.local_dir.is_dir():
        raise InputError(f"local_dir: {settings.local_dir} is a file, not a directory")
    if not settings.local_dir.is_absolute():
        raise InputError(f"local_dir must be an absolute path, not {settings.local_dir}")
