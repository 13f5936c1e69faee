"""Weights of a network to and from the HDF5 files of Keras, by layer name.

Reading goes through h5py, not through Keras's loader, so that a model saved by either Keras, or by
the original, can be read by either.
"""

import logging
import re
import warnings
from pathlib import Path

import h5py
import numpy as np

from hed.errors import InputError
from hed.training.architecture import BLOCKS
from hed.training.network import Network


def write(network: Network, path: Path) -> None:
    """Save the Keras model, architecture and weights, as HDF5 for `keras.models.load_model`."""
    # Both versions of Keras warn at each save that the format is old; it is what CANDLE reads.
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            network.model.save(path)
    finally:
        logging.disable(logging.NOTSET)


def load(network: Network, path: Path) -> None:
    """Set the network's weights to those of a saved model.

    Raises:
        InputError: if the file is unreadable or its layers have other shapes.
    """
    stored = read(path)
    if "auc" not in stored:
        stored = _renamed(stored, network)
    for name in _names(network):
        layer = network.model.get_layer(name)
        arrays = stored.get(name, [])
        if [a.shape for a in arrays] != [tuple(w.shape) for w in layer.weights]:
            raise InputError(
                f"{path} holds another network: layer {name} has "
                f"{' and '.join(str(tuple(a.shape)) for a in arrays) or 'no weights'}, not "
                f"{' and '.join(str(tuple(w.shape)) for w in layer.weights)}"
            )
        layer.set_weights(arrays)


def read(path: Path) -> dict[str, list[np.ndarray]]:
    """Return kernel and bias of each dense layer, by its name, of a saved model or its weights.

    Raises:
        InputError: if the file is not a Keras model in HDF5.
    """
    try:
        with h5py.File(path, "r") as file:
            # `save_weights` puts at the top level what `save` puts in a group.
            weights = file if "layer_names" in file.attrs else file["model_weights"]
            return {
                name: [np.asarray(weights[name][w]) for w in weights[name].attrs["weight_names"]]
                for name in weights
                if len(weights[name].attrs.get("weight_names", []))
            }
    except (OSError, KeyError) as error:
        raise InputError(f"{path} is not a Keras model in HDF5: {error}") from None


def _names(network: Network) -> list[str]:
    """Return the names of the dense layers in the order in which Uno creates them."""
    names = [dense for block in BLOCKS for dense, _ in network.block(block)]
    return [*names, "auc"]


def _renamed(stored: dict[str, list[np.ndarray]], network: Network) -> dict[str, list[np.ndarray]]:
    """Return the layers of the original Uno (`dense`, `dense_1`, ...) under our names."""
    created = sorted(stored, key=lambda name: int((re.findall(r"\d+$", name) or ["0"])[0]))
    return {ours: stored[theirs] for ours, theirs in zip(_names(network), created, strict=False)}
