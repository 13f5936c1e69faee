"""What a training would find: `python -m hed.preflight.probe [EXTENSION]` reports it step by step.

Runs in the training software. Each step prints one line of JSON as soon as it is done, so that a
reader knows which step came next when it died.
"""

import json
import os
import platform
import sys
import time
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

PACKAGES = ("h5py", "jsonschema", "numpy", "polars", "psutil")

# Rows and columns of the matrices: long enough to measure, short on a CPU too.
SIZE_ON_CPU, SIZE_ON_DEVICE = 1024, 8192
REPEATS = 3


def main() -> None:
    """Take the steps."""
    tell("python", version=platform.python_version(), executable=sys.executable)
    for name in PACKAGES:
        import_module(name)
    tell("packages", **{name: metadata.version(name) for name in PACKAGES})
    tell("copies", mpi4py=metadata.version("mpi4py") if find_spec("mpi4py") else "")
    start = time.perf_counter()
    from hed.training.backend import tf

    tell("tensorflow", version=tf.__version__, seconds=time.perf_counter() - start)
    for name in sys.argv[1:]:
        import_module(name)
        tell("extension", name=name, version=metadata.version(name))
    devices = [device.name for device in tf.config.list_physical_devices()]
    tell("device", names=[name for name in devices if ":CPU:" not in name])
    tell("matmul", **multiply(tf, on_device=any(":CPU:" not in name for name in devices)))


def multiply(tf: Any, *, on_device: bool) -> dict[str, float]:
    """Multiply matrices of ones; return GFLOP/s and the share of correct results."""
    size = SIZE_ON_DEVICE if on_device else SIZE_ON_CPU
    ones = tf.ones((size, size))
    product = tf.matmul(ones, ones)
    right = float(tf.reduce_mean(tf.cast(tf.equal(product, size), tf.float32)))
    float(product[0, 0])  # the first time of anything takes long
    start = time.perf_counter()
    for _ in range(REPEATS):
        product = tf.matmul(ones, ones)
    # Devices compute asynchronously; reading one number waits for the last product.
    float(product[0, 0])
    seconds = time.perf_counter() - start
    return {"gflops": REPEATS * 2 * size**3 / seconds / 1e9, "right": right}


def tell(step: str, **found: Any) -> None:
    """Write a line at once, so that a timeout cannot lose it."""
    os.write(1, f"{json.dumps({'step': step, **found})}\n".encode())


if __name__ == "__main__":
    main()
