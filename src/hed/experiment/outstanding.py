"""How many runs are still to do: of an experiment, a UPF, a data set, the configuration."""

from pathlib import Path

import yaml

from hed.config import hyperparameters, settings
from hed.config.settings import Settings
from hed.experiment import plan, runs
from hed.names import RECORD, RUNS


def count(source: Path | None, root: Path) -> int:
    """Return the number of unfinished runs of an experiment, or of runs of a UPF or a data set.

    Args:
        source: a directory or a file; None: the project's configuration.
        root: the project's directory.

    Raises:
        InputError: if `source` is none of these.
    """
    if source is None:
        return _planned(root, {})
    if (source / RUNS).is_dir() or (source / RECORD).exists():
        return sum(run.state != "done" for run in runs.read_runs(source))
    if source.is_dir():
        return _planned(root, {"data_source": str(source.resolve())})
    configured = _configured(root, {})
    dflts = hyperparameters.read_dflts(configured.dflts) if configured.dflts else {}
    upf = hyperparameters.read_upf(source, hyperparameters.model_of(dflts))
    return len(upf) * configured.repeats


def _planned(root: Path, changes: dict[str, str]) -> int:
    """Return the number of runs of the project's configuration with some keys changed."""
    return len(plan.make(_configured(root, changes)).runs)


def _configured(root: Path, changes: dict[str, str]) -> Settings:
    """Return the settings of the project's configuration with some keys changed."""
    config = yaml.safe_load((root / "config" / "config.yaml").read_text())
    return settings.read(settings.complete({**config, **changes}, root), root)
