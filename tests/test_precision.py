"""bfloat16 is refused where it would end the process."""

import pytest

from hed.errors import InputError
from hed.training import precision


@pytest.mark.parametrize("extension", [True, False])
def test_bfloat16_is_refused_on_an_old_cpu_with_intel_s_extension_only(
    monkeypatch: pytest.MonkeyPatch, extension: bool
) -> None:
    monkeypatch.setattr(precision, "find_spec", lambda name: object() if extension else None)
    monkeypatch.setattr(precision.Path, "read_text", lambda path: "flags: fma avx2")
    precision.require("float32", "CPU")
    precision.require("bfloat16", "/physical_device:XPU:0")
    if extension:
        with pytest.raises(InputError, match="use float32 here"):
            precision.require("bfloat16", "CPU")
    else:
        precision.require("bfloat16", "CPU")


def test_bfloat16_is_accepted_on_a_cpu_with_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "find_spec", lambda name: object())
    monkeypatch.setattr(precision.Path, "read_text", lambda path: "flags: avx2 avx512f")
    precision.require("bfloat16", "CPU")
