#!/usr/bin/env python3
"""Draw the pictures of docs/: figures and report of a made-up experiment of the published size.

Prints what the report costs: seconds, bytes.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import fullsize
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from hed.answers import figures
from hed.answers.report import page

ROOT = Path(__file__).parents[1]
# The tests have the browser.
sys.path.append(str(ROOT / "tests"))
import chromium  # noqa: E402

COLOURS = 128
NODES, TILES, RUN_HOURS = 13, 12, 0.9


def main() -> None:
    """Parse the arguments and draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", metavar="DIR", type=Path, nargs="?", default=ROOT / "docs")
    parser.add_argument("--runs", type=int, default=fullsize.Size().runs)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        experiment = fullsize.write(Path(place) / "EXP000", fullsize.Size(runs=args.runs))
        write_tiles(experiment, args.runs)
        for name in figures.FIGURES.keys() - {"errors"}:
            figures.draw(name, experiment, args.output / f"{name}.png")
            shrink(args.output / f"{name}.png")
        started = time.monotonic()
        page.write(experiment, experiment / "report.html")
        size = (experiment / "report.html").stat().st_size
        print(f"report of {args.runs} runs: {time.monotonic() - started:.1f} s, {size:,} bytes")
        photograph(experiment / "report.html", args.output)


def write_tiles(experiment: Path, runs: int) -> None:
    """Write which run was on which tile, as the pilot does; each tile takes the next run."""
    draw = random.Random(0)
    free = [(60 * draw.random(), node, tile) for node in range(NODES) for tile in range(TILES)]
    folder = experiment / ".pilot" / "tiles"
    folder.mkdir(parents=True)
    for number in range(runs):
        start, node, tile = free.pop(free.index(min(free)))
        end = start + 3600 * RUN_HOURS * draw.gauss(1, 0.06)
        place = {"block": "1.pbs", "node": f"x{node:04d}", "tile": str(tile)}
        record = {"run": f"RUN{number:03d}", **place, "start": start, "end": end}
        with (folder / f"{place['node']}.txt").open("a") as stream:
            stream.write(json.dumps({**record, "state": "success"}) + "\n")
        free.append((end + 5, node, tile))


def photograph(report: Path, output: Path) -> None:
    """Take pictures of the page, of an open drug, and of both on a narrow screen."""
    browser = chromium.start(width=1200, height=1000)
    try:
        for name, width in (("report", 1200), ("report-narrow", 400)):
            chromium.resize(browser, width)
            browser.get(chromium.address(report))
            take(browser, output / f"{name}.png")
            browser.find_element(By.CSS_SELECTOR, "button.open").click()
            WebDriverWait(browser, 60).until(lambda b: b.find_element(By.ID, "drug").is_displayed())
            take(browser, output / f"{name}-drug.png")
    finally:
        browser.quit()


def take(browser: Chrome, path: Path) -> None:
    """Take a picture of what the browser shows."""
    browser.save_screenshot(str(path))
    shrink(path)


def shrink(path: Path) -> None:
    """Keep few colours, which makes a picture several times smaller."""
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
