"""One browser for all of these tests.

With SCREENSHOTS set to a folder, pictures of the pages are left there; the ones in the
documentation are made this way.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.programs import find_program

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


PATIENCE = 60_000
"""Milliseconds: on a machine that is busy everything takes long."""
expect.set_options(timeout=PATIENCE)


# Playwright has an event loop of its own, which tests elsewhere must not find running.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # What has no window does half of the work.
    name = "chromium-headless-shell" if shutil.which("chromium-headless-shell") else "chromium"
    chromium = find_program(name, "run scripts/install-programs --tests")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield started
        started.close()


def patient_context(browser: Browser, **options: Any) -> BrowserContext:
    """A new session of a browser, which waits as long as everything else."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context


def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Leave a picture of what is seen, or of the whole page, where pictures are wanted."""
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)
