"""What a train job would refuse in the modules of DFLTS and UPF is refused before any job."""

import gc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hed import modules, variables
from hed.config.hyperparameters import UpfLine
from hed.errors import InputError
from hed.experiment import inspection

MODEL = """
def initialize_parameters():
    return {"depth": 3, "timeout": 60}

def run(params):
    return {}
"""
Write = Callable[[str, str], None]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a module where the jobs of a user would find it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv(variables.PROFILE, raising=False)

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    return write


def inspect(dflts: Mapping[str, Any], **overrides: Any) -> inspection.Findings:
    return inspection.inspect(dict(dflts), [UpfLine("RUN000", 0, overrides)])


def test_a_model_s_own_hyperparameters_and_candle_s_are_accepted(module: Write) -> None:
    module("deep", MODEL)
    dflts = {"model": "deep", "depth": 2, "timeout": 3600, "input_dir": "/x", "perf_top": "0"}
    found = inspect(dflts, ckpt_save_interval=2, metadata="mine", pre_module="hed_setup")
    assert found.own == {"depth", "timeout"}
    assert not found.notes


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"dept": 2}, "deep has no hyperparameter 'dept'; did you mean depth?"),
        ({"pre_module": "mine"}, 'pre_module in the hyperparameters of RUN000 cannot be "mine"'),
        ({"perf_top": "5"}, "set monitor in config/config.yaml"),
    ],
)
def test_a_hyperparameter_that_no_run_of_the_model_has_is_refused(
    module: Write, overrides: dict[str, Any], sentence: str
) -> None:
    module("deep", MODEL)
    with pytest.raises(InputError, match=sentence):
        inspect({"model": "deep"}, **overrides)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run = print", "model 'bad' cannot be used: model 'bad' has no function initialize_param"),
        (MODEL.replace("3", "1 / 0"), "model 'bad' cannot be used: ZeroDivisionError: division"),
        ("import os; os.abort()", "model 'bad' cannot be used: it ended without a word"),
        ("from json import no_longer", "model 'bad' cannot be imported .cannot import .*: install"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(module: Write, text: str, sentence: str) -> None:
    module("bad", text)
    with pytest.raises(InputError, match=sentence):
        inspect({"model": "bad"})


def test_a_model_whose_import_hangs_is_refused(
    module: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    module("slow", "import time; time.sleep(60)")
    monkeypatch.setattr(inspection, "SECONDS", 0.5)
    with pytest.raises(InputError, match="model 'slow' cannot be used: its import hangs"):
        inspect({"model": "slow"})


def test_a_module_that_makes_no_loss_is_refused(module: Write) -> None:
    module("lossless", "constructor = print")
    with pytest.raises(InputError, match="'lossless' cannot be used: it has no function construct"):
        inspect({"custom_loss_module": "lossless"})


def test_the_original_s_name_of_the_built_in_loss_needs_no_module(module: Write) -> None:
    assert not inspect({"custom_loss_module": "mae_poly_loss", "alpha": 6}).notes
    module("mae_poly_loss", "constructor = print")
    with pytest.raises(InputError, match="'mae_poly_loss' cannot be used"):
        inspect({"custom_loss_module": "mae_poly_loss", "alpha": 6})


def test_what_only_the_nodes_of_a_cluster_can_import_is_a_note(
    module: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    module("deep", "import of_the_nodes_alone")
    monkeypatch.setenv(variables.PROFILE, "/profiles/aurora")
    (note,) = inspect({"model": "deep", "depht": 1}).notes
    assert note.startswith("model 'deep' cannot be imported here (No module named 'of_the_nodes_al")


@pytest.mark.parametrize("end", ["", "raise ValueError"])
def test_garbage_is_looked_for_again_once_a_model_is_imported(module: Write, end: str) -> None:
    module(f"own{bool(end)}", f"import gc\nmet = gc.isenabled()\ngc.met = met\n{end}\n")
    try:
        modules.load(f"own{bool(end)}")
    except ValueError:
        assert end
    assert gc.isenabled()
    assert not vars(gc).pop("met")
