"""The naive predictor: overall mean, effect of the cell, effect of the drug.

For a held-out drug no effect is known: the mean of the cell is predicted. It is DrEval's
NaiveMeanEffectsPredictor without tissues (Bernett et al., Nat. Commun. 2026).
"""

from collections.abc import Mapping
from typing import Any

from hed.baselines import effects, fitted

# Nothing stays in the process.
WARM = True


def initialize_parameters() -> dict[str, Any]:
    """Return the hyperparameters with their defaults."""
    return {**fitted.COMMON}


def run(params: Mapping[str, Any]) -> dict[str, list[float]]:
    """Fit and predict; return the history."""
    return fitted.run(params, effects.fit)
