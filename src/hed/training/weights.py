"""Weights of a network to and from the HDF5 files of Keras, by layer name.

Reading goes through h5py, not through Keras's loader, so that a model saved by either Keras, or by
the original, can be read by either.
"""

import logging
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from hed.errors import InputError
from hed.training.architecture import BLOCKS
from hed.training.backend import keras
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


class File:
    """What `write` writes, again and again: from one time to the next only the weights change.

    They are written to their places in the bytes that Keras wrote at first, which takes a fraction
    of the time, and can be done in a thread.
    """

    def __init__(self, network: Network) -> None:
        """Take a network; Keras writes it when it is first to be saved."""
        self._network = network
        self._content = b""
        self._places: dict[int, keras.Variable] = {}

    def copy(self, scratch: Path) -> Callable[[Path], None]:
        """Return what writes the file with the weights as they are now.

        Args:
            scratch: directory for a first file, which is removed; made if there is none.
        """
        if not self._places:
            self._build(scratch)
        arrays = {place: weight.numpy() for place, weight in self._places.items()}

        def write(path: Path) -> None:
            with path.open("wb") as stream:
                stream.write(self._content)
                for place, values in arrays.items():
                    stream.seek(place)
                    stream.write(values.data)

        return write

    def _build(self, scratch: Path) -> None:
        """Have Keras write the file, and find the places of the weights in it."""
        scratch.mkdir(parents=True, exist_ok=True)
        places: dict[int, keras.Variable] = {}
        with tempfile.TemporaryDirectory(prefix=".", dir=scratch) as directory:
            path = Path(directory, "model.h5")
            write(self._network, path)
            self._content = path.read_bytes()
            with h5py.File(path, "r") as file:
                for layer in self._network.model.layers:
                    group = file["model_weights"][layer.name]
                    names = group.attrs["weight_names"]
                    for name, weight in zip(names, layer.weights, strict=True):
                        places[group[name].id.get_offset()] = weight
        self._places = places


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
