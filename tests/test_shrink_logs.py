"""A summary loses the noise of frameworks and nothing else."""

import io
import os

import pytest
from experiments import call_script, write_experiment
from hypothesis import given
from hypothesis import strategies as st

from hed.errors import InputError
from hed.watching import logs, summaries

STAMP = "2025-07-17 10:00:00.123456: "
ABSL = "00:00:1721234567.123456   12345 "
NOISE = [
    f"{STAMP}I tensorflow/core/util/port.cc:113] oneDNN custom operations are on. You may see "
    "slightly different numerical results due to floating-point round-off errors.",
    f"{STAMP}I tensorflow/core/platform/cpu_feature_guard.cc:182] This TensorFlow binary is "
    "optimized to use available CPU instructions in performance-critical operations.",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with "
    "the appropriate compiler flags.",
    f"{STAMP}I itex/core/wrapper/itex_gpu_wrapper.cc:38] Intel Extension for Tensorflow* GPU "
    "backend is loaded.",
    f"{STAMP}I external/local_xla/xla/service/service.cc:168] XLA service 0x7f initialized",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    f"I0000 {ABSL}device_compiler.h:186] Compiled cluster using XLA!",
]
KEPT = [
    "2025-07-17 10:00:03 hed_setup INFO: pre: {'index': 3}",
    "471,000 training rows, 118,000 validation rows, on CPU",
    "epoch  7/20  loss 0.00712  val_loss 0.00801  r2_val 0.601  lr 3.20e-04  5.1 s  left 0:01:06",
    f"{STAMP}W tensorflow/core/framework/op_kernel.cc:1839] OP_REQUIRES failed at save.cc:7",
    f"{STAMP}E external/local_xla/xla/cuda_dnn.cc:9261] Unable to register cuDNN factory",
    f"{STAMP}I tensorflow/core/executor.cc:1197] Executor start aborting: INVALID_ARGUMENT",
    "WARNING:tensorflow:5 out of the last 5 calls triggered tf.function retracing.",
    "warning: checkpoint epochs/007 is damaged; trying an older one",
    "model.py:12: UserWarning: no gradient\n  warnings.warn(message)",
    "error: no space left on device",
    "Killed",
    "  13/13000 [>....",
]
TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 40, in main
    model.run(params)
ZeroDivisionError: division by zero"""


def draw_bar(step, steps, loss, *, kind="keras2"):
    """Return an update of a progress bar as Keras writes it."""
    done = 30 * step // steps
    if kind == "keras3":
        bar = f"\x1b[32m{'━' * done}\x1b[0m\x1b[37m{'━' * (30 - done)}\x1b[0m"
        return (
            f"\x1b[1m{step:>5}/{steps}\x1b[0m {bar} \x1b[1m1:02\x1b[0m 55ms/step - loss: {loss:.4f}"
        )
    bar = "=" * done + (">" if step < steps else "") + "." * (29 - done)
    return f"{step:>5}/{steps} [{bar}] - ETA: 1:20:59 - loss: {loss:.4f} - r2_val: -1.2000e-04"


def draw_epochs(epochs, steps, *, kind="keras2", separator="\r"):
    """Return the output of epochs, each update after `separator`."""
    text = ""
    for epoch in range(1, epochs + 1):
        bars = [draw_bar(i, steps, 0.5 / epoch, kind=kind) for i in range(1, steps + 1)]
        last = f"{steps:>5}/{steps} [{'=' * 30}] - 4020s 309ms/step - loss: {0.4 / epoch:.4f}"
        text += f"Epoch {epoch}/{epochs}\n" + separator.join([*bars, last]) + "\n"
    return text


def summarise(text):
    return list(logs.summarise(io.StringIO(text, newline="\n")))


@pytest.mark.parametrize("line", NOISE)
def test_what_frameworks_tell_of_themselves_is_left_out(line):
    assert summarise(f"before\n{line}\nafter\n") == ["before", "after"]


@pytest.mark.parametrize("text", [*KEPT, TRACEBACK])
def test_everything_else_is_kept_in_its_place(text):
    assert "\n".join(summarise(f"before\n{text}\nafter\n")) == f"before\n{text}\nafter"


@pytest.mark.parametrize("text", [*KEPT[:3], *KEPT[3:11], TRACEBACK])
@pytest.mark.parametrize(
    "separator", ["\r", "\n", "\b" * 90 + "\r"], ids=["return", "line", "back"]
)
def test_what_interrupts_a_progress_bar_is_kept_even_on_its_line(text, separator):
    bars = draw_epochs(2, 50, separator=separator)
    middle = bars.index(" - r2_val", len(bars) // 3) + len(" - r2_val: -1.2000e-04")
    found = "\n".join(summarise(f"{bars[:middle]}{text}\n{bars[middle:]}"))
    assert text in found


@pytest.mark.parametrize(
    "separator", ["\r", "\n", "\b" * 90 + "\r"], ids=["return", "line", "back"]
)
@pytest.mark.parametrize("kind", ["keras2", "keras3"])
def test_of_a_progress_bar_the_last_update_of_each_epoch_is_kept(separator, kind):
    found = summarise(draw_epochs(3, 200, kind=kind, separator=separator))
    assert [line.split(" - ")[0] for line in found] == [
        "Epoch 1/3",
        f"  200/200 [{'=' * 30}]",
        "Epoch 2/3",
        f"  200/200 [{'=' * 30}]",
        "Epoch 3/3",
        f"  200/200 [{'=' * 30}]",
    ]
    assert found[1].endswith("loss: 0.4000")


def test_a_bar_that_was_interrupted_shows_how_far_it_came():
    text = "\r".join(draw_bar(i, 100, 0.5) for i in range(1, 43))
    assert [line.split()[0] for line in summarise(text)] == ["42/100"]


def test_one_bar_after_another_without_a_word_between_are_two():
    text = "\r".join(draw_bar(i, 9, 0.5) for i in [*range(1, 10), *range(1, 10)])
    assert [line.split()[0] for line in summarise(text)] == ["9/9", "9/9"]


def test_a_repeated_warning_is_shown_once_and_counted():
    lines = [f"{STAMP}W tensorflow/a.cc:7] slow operation {i}" for i in range(500)]
    assert summarise("\n".join([*lines, "end"])) == [
        lines[0],
        "end",
        f"500 times: {lines[0]}",
    ]


def test_a_repeated_traceback_is_shown_once_and_counted():
    found = summarise(f"{TRACEBACK}\n" * 40)
    assert "\n".join(found) == f"{TRACEBACK}\n40 times: ZeroDivisionError: division by zero"


def test_errors_that_differ_in_a_number_are_different_errors():
    lines = [f"error: run {i} has no rows" for i in range(5)]
    assert summarise("\n".join(lines)) == lines


@pytest.mark.parametrize(
    "text",
    [
        "2025-07-17 10:00:0{}.5: E tensorflow/a.cc:7] no memory",
        "E0000 00:00:172123456{}.5   12345 a.cc:7] no memory",
        "2025-07-17 10:00:0{},123 hed_setup ERROR: no memory",
    ],
)
def test_the_same_at_another_time_is_a_repetition(text):
    lines = [text.format(i) for i in range(3)]
    assert summarise("\n".join(lines)) == [lines[0], f"3 times: {lines[0]}"]


def test_a_traceback_with_another_threads_noise_inside_stays_whole():
    head, tail = TRACEBACK.split("    model.run")
    found = summarise(f"{head}{NOISE[3]}\n{draw_bar(3, 9, 0.5)}\n    model.run{tail}\n")
    assert TRACEBACK in "\n".join(found)
    assert not any("itex" in line for line in found)


def test_a_log_that_ends_within_a_traceback_keeps_its_beginning():
    cut = TRACEBACK[:60]
    assert "\n".join(summarise(cut)) == cut


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@given(st.lists(words, unique=True, max_size=20), st.data())
def test_no_line_with_words_is_ever_lost(lines, data):
    marked = [f"{line} says {i}" for i, line in enumerate(lines)]
    noisy = []
    for line in marked:
        noisy += [data.draw(st.sampled_from([*NOISE, draw_bar(2, 9, 0.5)])), line]
    found = [line for line in summarise("\n".join(noisy)) if "[" not in line or "says" in line]
    assert [line for line in found if "ETA" not in line or "says" in line] == marked


def test_a_log_of_the_originals_kind_becomes_99_percent_smaller_and_keeps_its_error(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"], original=True)
    log = experiment / "out/out-000.txt"
    log.write_text("\n".join(NOISE) + "\n" + draw_epochs(20, 1300) + TRACEBACK + "\n")
    call_script("shrink_logs.py", experiment)
    summary = experiment / "out/summary-000.txt"
    assert summary.stat().st_size < 0.01 * log.stat().st_size
    assert TRACEBACK in summary.read_text()


def test_the_command_takes_an_experiment_or_its_logs_and_passes_over_what_is_done(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "EXP011", ["done", "running"])
    assert len(call_script("shrink_logs.py", experiment / "out").splitlines()) == 3
    assert (experiment / "out/summary-RUN001-train.txt").read_text() == "epoch 1\n"
    log = experiment / "out/out-RUN001-train.txt"
    log.write_text("epoch 1\nepoch 2\n")
    os.utime(log, (2e9, 2e9))
    printed = call_script("shrink_logs.py", experiment, "--format", "csv")
    assert [line.split(",")[0] for line in printed.splitlines()] == ["log", log.name]
    assert "1 were summarised before" in capsys.readouterr().err
    assert (experiment / "out/summary-RUN001-train.txt").read_text() == "epoch 1\nepoch 2\n"


def test_an_empty_log_has_an_empty_summary(tmp_path, capsys):
    (tmp_path / "out-000.txt").write_text("")
    assert call_script("shrink_logs.py", tmp_path).split()[-4:] == ["out-000.txt", "0", "0", "-"]
    assert (tmp_path / "summary-000.txt").read_bytes() == b""


def test_many_large_logs_are_summarised_by_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(summaries, "PARALLEL_BYTES", 0)
    for i in range(3):
        (tmp_path / f"out-{i:03d}.txt").write_text(f"rank {i}\n")
    assert [s.log.name for s in summaries.shrink(summaries.find(tmp_path))] == [
        f"out-{i:03d}.txt" for i in range(3)
    ]
    assert (tmp_path / "summary-002.txt").read_text() == "rank 2\n"


def test_bytes_that_are_no_text_are_no_error(tmp_path):
    (tmp_path / "out-000.txt").write_bytes(b"\xff\xfe broken\n")
    call_script("shrink_logs.py", tmp_path)
    assert "broken" in (tmp_path / "summary-000.txt").read_text()


def test_a_directory_without_logs_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no out-\*\.txt in"):
        call_script("shrink_logs.py", tmp_path)
    with pytest.raises(InputError, match="no such directory"):
        call_script("shrink_logs.py", tmp_path / "none")


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("error: no space left on device\n", "error: no space left on device"),
        (f"{TRACEBACK}\n", "ZeroDivisionError: division by zero"),
        (f"{TRACEBACK}\n{NOISE[3]}\n", "ZeroDivisionError: division by zero"),
        (
            f"{STAMP}F tensorflow/a.cc:7] Check failed: x\n",
            f"{STAMP}F tensorflow/a.cc:7] Check failed: x",
        ),
        (f"F0000 {ABSL}a.cc:7] Check failed: x\n", f"F0000 {ABSL}a.cc:7] Check failed: x"),
        ("Killed\n", "Killed"),
        ("Segmentation fault (core dumped)\n", "Segmentation fault (core dumped)"),
        (f"{TRACEBACK}\nresuming after epoch 6\n", None),
        (f"error: x\n{draw_bar(3, 9, 0.5)}\n", None),
        ("test_error: 0.05\nepoch  8/20  loss 0.1\n", None),
        ("", None),
    ],
)
def test_the_error_that_a_log_ends_with_is_told(tmp_path, end, error):
    log = tmp_path / "out.txt"
    log.write_text("x" * 100_000 + "\nepoch  7/20  loss 0.1\n" + end)
    assert logs.last_error(log) == error
