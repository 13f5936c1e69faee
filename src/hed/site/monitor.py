"""A run's usage of the machine, sampled while it trains: processor, memory, device.

One thread sleeps between samples, so the cost is that of a sample: about a millisecond for the
processor and memory, and one short process for the device.
"""

import csv
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

COLUMNS = ("time", "seconds", "cpu_percent", "rss_mb", "node_cpu_percent", "node_free_mb",
           "device_percent", "device_mb")  # fmt: skip
MEBIBYTE = 2**20
# A device tool that hangs must not delay the next sample forever.
TIMEOUT = 10.0

# Percent busy and memory used (MiB) of the run's device; None if unknown.
Device = tuple[float | None, float | None]


@contextmanager
def monitoring(path: Path, seconds: float) -> Iterator[None]:
    """Append a sample to the CSV file `path` every `seconds` seconds; 0 turns it off.

    A resumed run continues the same file. `cpu_percent` is that of this process (200 is two
    cores), `rss_mb` its resident memory.
    """
    if not seconds:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_sample_until, args=(stop, path, seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(TIMEOUT)


def _sample_until(stop: threading.Event, path: Path, seconds: float) -> None:
    """Write samples until stopped, and one at the end."""
    process, device, begun = psutil.Process(), _device_reader(), time.monotonic()
    # The first answer of these two is meaningless: they report the usage since the last call.
    process.cpu_percent()
    psutil.cpu_percent()
    is_new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if is_new:
            writer.writerow(COLUMNS)
        done = False
        while not done:
            done = stop.wait(seconds)
            writer.writerow(_sample(process, device, time.monotonic() - begun))
            stream.flush()


def _sample(
    process: psutil.Process, device: Callable[[], Device], seconds: float
) -> list[str | float | None]:
    """Return one row of the file."""
    return [
        time.strftime("%Y-%m-%d %H:%M:%S"),
        round(seconds, 1),
        process.cpu_percent(),
        round(process.memory_info().rss / MEBIBYTE),
        psutil.cpu_percent(),
        round(psutil.virtual_memory().available / MEBIBYTE),
        *device(),
    ]


def _device_reader() -> Callable[[], Device]:
    """Return a reader of the device that this process sees, by the vendor's tool if installed."""
    if shutil.which("nvidia-smi"):
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        query = "--query-gpu=utilization.gpu,memory.used"
        command = ["nvidia-smi", f"--id={first}", query, "--format=csv,noheader,nounits"]
        return lambda: _read(command)
    if shutil.which("xpu-smi"):
        return lambda: _read(["xpu-smi", "dump", *_tile(), "-m", "0,18", "-n", "1"])
    return lambda: (None, None)


def _tile() -> list[str]:
    """Return xpu-smi's options for the tile that ZE_AFFINITY_MASK names.

    A mask is `device.tile` in the COMPOSITE hierarchy, and the number of a tile, of which a device
    has two, in the FLAT one.
    """
    mask = os.environ.get("ZE_AFFINITY_MASK", "0").split(",")[0]
    device, dot, tile = mask.partition(".")
    if not dot:
        device, tile = (str(number) for number in divmod(int(mask or 0), 2))
    return ["-d", device, "-t", tile]


def _read(command: list[str]) -> Device:
    """Return the last two numbers of the last line that a device tool prints."""
    try:
        done = subprocess.run(
            command, capture_output=True, errors="replace", timeout=TIMEOUT, check=False
        )
        busy, used = done.stdout.strip().splitlines()[-1].split(",")[-2:]
        return _number(busy), _number(used)
    except (OSError, subprocess.TimeoutExpired, IndexError, ValueError):
        return None, None


def _number(text: str) -> float | None:
    """Return a number; None for `N/A`, which tools print for what they may not read."""
    try:
        return float(text)
    except ValueError:
        return None
