"""What else than the model differs between experiments that are compared."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hed.experiment import description
from hed.experiment.runs import list_runs, read_experiment

# Settings of `preprocess` that decide which responses there are, and what is learned of them.
OF_RESPONSES = ("sources", "y_column", "min_r2fit", "drop_repeated")


def doubts(experiments: Mapping[str, Path]) -> Iterator[str]:
    """Yield sentences on other data, or another number of trainings, than the first one has.

    Args:
        experiments: directories by name.
    """
    first, *others = experiments
    data, trainings = _data_of(experiments[first]), _trainings(experiments[first])
    for other in others:
        found = _data_of(experiments[other])
        names = [name for name in data if name in found and data[name] != found[name]]
        if names:
            yield (
                f"{other} has other data than {first} ({', '.join(names)}): where test rows "
                "differ, so do errors"
            )
        if (count := _trainings(experiments[other])) != trainings:
            yield (
                f"{other} has another number of repeats than {first} ({count} and {trainings}): "
                "means of more trainings have lower errors, whatever the model"
            )


def _data_of(directory: Path) -> dict[str, Any]:
    """Return what an experiment says of its responses, by the name that users know."""
    identity = (description.read(directory) or {}).get("identity", {})
    if "data_source" not in identity:
        return {}
    settings = identity.get("preprocess", {})
    return {
        "data_source": identity["data_source"],
        **{name: settings.get(name) for name in OF_RESPONSES},
    }


def _trainings(directory: Path) -> int:
    """Return how many trainings the runs of an experiment have at most."""
    counts = Counter(run.first for run in list_runs(read_experiment(directory)))
    return max(counts.values(), default=0)
