"""Where bfloat16 can be computed."""

from importlib.util import find_spec
from pathlib import Path

from hed.errors import InputError


def require(precision: str, device: str) -> None:
    """Refuse a precision that would end this process in the first step, without a word.

    Raises:
        InputError: for bfloat16 on a CPU where Intel's extension has no kernel for it.
    """
    if precision == "bfloat16" and device == "CPU" and not computes_bfloat16():
        raise InputError(
            "precision bfloat16 needs a CPU with AVX-512 where Intel's extension for TensorFlow "
            "is installed: use float32 here"
        )


def computes_bfloat16() -> bool:
    """Tell whether this CPU computes bfloat16: not with Intel's extension before AVX-512."""
    if find_spec("intel_extension_for_tensorflow") is None:
        return True
    processor = Path("/proc/cpuinfo")
    return processor.exists() and "avx512f" in processor.read_text()
