"""The precision in which a run computes, and which devices can compute bfloat16."""

from importlib.util import find_spec
from pathlib import Path

from hed.errors import InputError
from hed.files import agree
from hed.names import AUTO, PRECISION
from hed.training import backend
from hed.training.backend import tf

FULL, HALF = "float32", "bfloat16"
PROCESSOR = Path("/proc/cpuinfo")
# With these a step in bfloat16 is faster at 32, 512 and 4,096 rows; see docs/performance.md.
UNITS = frozenset(["amx_bf16", "avx512_bf16"])


def resolve(wanted: str, device: str, experiment: Path | None) -> str:
    """Return the precision of a run: with `auto`, the one that its experiment has decided on.

    The first run of an experiment decides, so that runs on different nodes do not mix precisions.

    Args:
        device: name of the device that computes.
        experiment: directory of the experiment; None if the run belongs to none.

    Raises:
        InputError: if this device cannot compute it.
    """
    if wanted == AUTO:
        wanted = HALF if gains(device) else FULL
        if experiment is not None:
            decided = {"precision": wanted, "device": device}
            wanted = str(agree(experiment / PRECISION, decided)["precision"])
    require(wanted, device)
    return wanted


def gains(device: str) -> bool:
    """Return whether a device computes bfloat16 in hardware, where it is faster at any batch."""
    if device != "CPU":
        return backend.has_bfloat16_units()
    return _has_units()


def product(x: "tf.Tensor", kernel: "tf.Tensor") -> "tf.Tensor":
    """Return the product of two matrices of the same type.

    In bfloat16 its terms are added in float32 and their sum is rounded to nearest, as hardware does
    it. With AVX2 alone TensorFlow's own product is slower, and cuts the sums off instead.
    """
    if x.dtype != tf.bfloat16 or backend.accelerators() or _has_units():
        return tf.matmul(x, kernel)
    sums = tf.matmul(tf.cast(x, tf.float32), tf.cast(kernel, tf.float32))
    return tf.cast(sums, tf.bfloat16)


def require(precision: str, device: str) -> None:
    """Refuse a precision that would silently kill this process in the first step.

    Raises:
        InputError: for bfloat16 on a CPU where Intel's extension has no kernel for it.
    """
    if precision == HALF and device == "CPU" and not computes_bfloat16():
        raise InputError(
            "precision bfloat16 needs a CPU with AVX-512 where Intel's extension for TensorFlow "
            "is installed: use float32 here"
        )


def computes_bfloat16() -> bool:
    """Tell whether this CPU computes bfloat16: not with Intel's extension before AVX-512."""
    return find_spec("intel_extension_for_tensorflow") is None or "avx512f" in _flags()


def _has_units() -> bool:
    """Tell whether this CPU computes bfloat16 in hardware."""
    return not UNITS.isdisjoint(_flags())


def _flags() -> set[str]:
    """Return the instruction sets of this processor, none if the system does not list them."""
    if not PROCESSOR.exists():
        return set()
    with PROCESSOR.open() as lines:  # of hundreds of cores, which are alike
        return set(next((line for line in lines if line.startswith("flags")), "").split())
