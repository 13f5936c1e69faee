"""A headless Chromium that is driven by selenium."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import Chrome

PACKAGES = ("chromium", "chromium-driver")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars")


def start(*, width: int = 1200, height: int = 900) -> Chrome:
    """Start a browser that keeps what pages say on the console."""
    driver = find()
    options = webdriver.ChromeOptions()
    for option in (*OPTIONS, f"--window-size={width},{height}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options, webdriver.ChromeService(driver))


def find() -> str:
    """Return the path of the driver; install it from Debian where that is possible."""
    if not shutil.which("chromedriver") and os.geteuid() == 0 and shutil.which("apt-get"):
        command = "apt-get update -q && apt-get install -qy --no-install-recommends"
        script = f"{command} {' '.join(PACKAGES)}"
        subprocess.run(script, shell=True, capture_output=True, check=False)
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.fail(f"the report is tested in Chromium: apt install {' '.join(PACKAGES)}")
    return driver


def resize(browser: Chrome, width: int) -> None:
    """Give the page a width in CSS pixels; a window has at least 500."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def address(page: Path) -> str:
    """Return the address of a page on the disk."""
    return page.resolve().as_uri()
