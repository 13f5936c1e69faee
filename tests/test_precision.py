"""bfloat16 is refused where it would end the process, and chosen where it gains."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny

from hed import uno
from hed.errors import InputError
from hed.training import backend, precision
from hed.training.backend import tf

backend.configure(threads=1)
Processor = Callable[[str], None]
XPU = "/physical_device:XPU:0"


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processor:
    """Return a function that gives this machine another processor."""
    monkeypatch.setattr(precision, "PROCESSOR", tmp_path / "cpuinfo")

    def replace(flags: str) -> None:
        (tmp_path / "cpuinfo").write_text(f"flags : fma {flags}\n")

    return replace


def extension(monkeypatch: pytest.MonkeyPatch, *, installed: bool) -> None:
    monkeypatch.setattr(precision, "find_spec", lambda name: object() if installed else None)


@pytest.mark.parametrize("installed", [True, False])
def test_bfloat16_is_refused_on_an_old_cpu_with_intel_s_extension_only(
    processor: Processor, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    extension(monkeypatch, installed=installed)
    processor("avx2")
    precision.require("float32", "CPU")
    precision.require("bfloat16", XPU)
    if installed:
        with pytest.raises(InputError, match="use float32 here"):
            precision.require("bfloat16", "CPU")
    else:
        precision.require("bfloat16", "CPU")


def test_bfloat16_is_accepted_on_a_cpu_with_avx512(
    processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    extension(monkeypatch, installed=True)
    processor("avx2 avx512f")
    precision.require("bfloat16", "CPU")


@tiny.needs_bfloat16
def test_a_product_in_bfloat16_is_the_sum_in_float32_rounded_to_nearest() -> None:
    """Whatever computes it; sums that lie between two numbers of bfloat16 may go either way."""
    draw = np.random.default_rng(4).standard_normal
    left, right = (tf.cast(draw(shape), tf.bfloat16) for shape in [(64, 1000), (1000, 80)])
    with tf.GradientTape() as tape:
        tape.watch(right)
        found = tf.function(precision.product)(left, right)
    x, y = tf.cast(left, tf.float64), tf.cast(right, tf.float64)
    upstream = tf.ones((64, 80), tf.float64)
    gradient = tape.gradient(found, right)
    for value, exact in [(found, x @ y), (gradient, tf.transpose(x) @ upstream)]:
        assert value.dtype == tf.bfloat16
        rounded = tf.cast(tf.cast(exact, tf.float32), tf.bfloat16)
        assert np.mean(value.numpy() == rounded.numpy()) > 0.99


def test_a_product_in_float32_stays_one() -> None:
    x, y = tf.constant([[1 / 3]]), tf.constant([[3.0]])
    found = precision.product(x, y)
    assert (found.dtype, found.numpy().item()) == (tf.float32, 1.0)


@pytest.mark.parametrize(
    ("flags", "gains"),
    [
        ("avx2", False),
        ("avx512f", False),
        ("avx512f avx512_bf16", True),
        ("avx512f avx512_bf16 amx_bf16", True),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_computes_it(
    processor: Processor, flags: str, gains: bool
) -> None:
    processor(flags)
    expected = "bfloat16" if gains else "float32"
    assert precision.resolve("auto", "CPU", None) == expected


@pytest.mark.parametrize("units", [True, False])
def test_auto_asks_an_accelerator(monkeypatch: pytest.MonkeyPatch, units: bool) -> None:
    monkeypatch.setattr(backend, "has_bfloat16_units", lambda: units)
    assert precision.resolve("auto", XPU, None) == ("bfloat16" if units else "float32")


def test_an_experiment_decides_once(processor: Processor, tmp_path: Path) -> None:
    processor("avx512f amx_bf16")
    assert precision.resolve("auto", "CPU", tmp_path) == "bfloat16"
    processor("avx512f")  # emulates it, where Intel's extension lets it
    assert precision.resolve("auto", "CPU", tmp_path) == "bfloat16"
    assert precision.resolve("float32", "CPU", tmp_path) == "float32"
    assert json.loads((tmp_path / "precision.json").read_text()) == {
        "precision": "bfloat16",
        "device": "CPU",
    }


def test_what_was_decided_is_a_hyperparameter_of_the_run(
    processor: Processor, tmp_path: Path
) -> None:
    processor("avx2")
    run = tmp_path / "EXP000" / "run" / "RUN000"
    run.mkdir(parents=True)
    params = tiny.run_parameters(tmp_path, run, precision="auto")
    assert uno.resolve(params)["precision"] == "float32"
    assert not (tmp_path / "EXP000/precision.json").exists()
    (tmp_path / "EXP000/experiment.json").write_text("{}")
    assert uno.resolve(params)["precision"] == "float32"
    assert (tmp_path / "EXP000/precision.json").exists()
