"""The loss |y - p| (1 - y)^alpha, under the name that the original's files use."""

from collections.abc import Mapping
from typing import Any

from hed.config import hyperparameters
from hed.training import losses

WARM = True


def construct(params: Mapping[str, Any]) -> losses.Loss:
    """Return the loss for the run's `alpha`."""
    return losses.mae_poly(float(params.get("alpha", hyperparameters.default("alpha"))))
