"""TensorFlow, set up the same way for training and scoring, on either Keras.

Import this module before anything else that imports TensorFlow.
"""

import os
import sys

from hed import variables
from hed.training.quiet import without_start_lines

# Keras imports these if it finds them, only to accept their objects as input: half of the start-up
# time, for nothing that is used here. They are importable again afterwards.
_UNUSED_BY_US = ("matplotlib", "pandas", "sklearn")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow turns oneDNN on by itself only if it finds AVX-512; with AVX2 it is faster, too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
_hidden = [name for name in _UNUSED_BY_US if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]

with without_start_lines():
    import tensorflow as tf
    from tensorflow import keras

    # Keras 3 and TensorFlow load their parts lazily; these are the ones that look for the packages.
    _ = (keras.layers.Dense, keras.optimizers.Adam, keras.models.load_model)
for _name in _hidden:
    sys.modules.pop(_name, None)

from hed import modules  # noqa: E402
from hed.errors import InputError  # noqa: E402

__all__ = ["accelerators", "configure", "keras", "tf"]


def configure(*, threads: int) -> str:
    """Set up the devices of this process and return the name of the one that computes.

    On a CPU results are bitwise reproducible for a given number of threads. Which accelerator is
    visible is decided outside, before TensorFlow starts; HED_DEVICES is how many there must be.

    Args:
        threads: CPU threads to use.

    Raises:
        InputError: if there are more or fewer, so that none is shared or left idle.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:  # it has already computed with another number
        raise modules.ColdError(f"{threads} threads") from None
    # Two operations at a time: one fills the cores that the end of another, or a small one, leaves
    # idle (the two products of a gradient do not wait for each other).
    tf.config.threading.set_inter_op_parallelism_threads(min(threads, 2))
    # A bfloat16 product fused with its bias and ReLU is slower than the three separately.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    devices = accelerators()
    _require(len(devices))
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    if not devices:
        tf.config.experimental.enable_op_determinism()
    return str(devices[0].name if devices else "CPU")


def has_bfloat16_units() -> bool:
    """Return whether the accelerator of this process computes bfloat16 in hardware.

    Intel's do (Max series); of Nvidia's, those since compute capability 8.0.
    """
    graphics = [each for each in accelerators() if each.device_type == "GPU"]
    details = [tf.config.experimental.get_device_details(each) for each in graphics]
    return all(each.get("compute_capability", (0, 0)) >= (8, 0) for each in details)


def accelerators() -> list["tf.config.PhysicalDevice"]:
    """Return the devices of this process that are not CPUs."""
    return [d for d in tf.config.list_physical_devices() if d.device_type != "CPU"]


def _require(found: int) -> None:
    wanted = os.environ.get(variables.DEVICES)
    if wanted and found != int(wanted):
        raise InputError(
            f"TensorFlow sees {found} devices where a run needs {wanted}: scripts/preflight.py "
            "tells what is wrong on this node (check_device: false in site.yaml trains anyway)"
        )
