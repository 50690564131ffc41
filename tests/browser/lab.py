"""JupyterLab as students have it: with the extension, as it is installed into images."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.support.paths import ROOT


def installed(folder: Path) -> dict[str, str]:
    """The extension as pip installs it, and the environment in which Jupyter finds it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    where = ["--prefix", str(folder), str(ROOT / "labextension")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # It is built in its own folder, by one test at a time.
    with (ROOT / "labextension" / "pyproject.toml").open() as building:
        fcntl.flock(building, fcntl.LOCK_EX)
        subprocess.run([*pip, *where], check=True, env=environment)
    (packages,) = folder.glob("lib/python3*/site-packages")
    return {
        "PYTHONPATH": str(packages),
        "JUPYTER_PATH": str(folder / "share/jupyter"),
        "JUPYTER_CONFIG_PATH": str(folder / "etc/jupyter"),
        # Of this machine's own settings nothing is to be seen.
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }


def log_in(page: Page, hub_url: str, name: str) -> None:
    """Log in to a Hub, and wait until JupyterLab shows what is left."""
    page.goto(f"{hub_url}/hub/login?next=/user/{name}/lab")
    page.fill("#username_input", name)
    page.fill("#password_input", "x")
    page.click("#login_submit")
    page.locator(".jp-usage-quotas-item button").wait_for()


def type_into_a_file(lab: Page, text: str) -> None:
    """Make a text file, and type into it without saving."""
    lab.get_by_role("menuitem", name="File", exact=True).click()
    lab.locator(".lm-Menu-item", has_text="New").first.hover()
    lab.locator(".lm-Menu-item[data-command='fileeditor:create-new']").first.click()
    editor = lab.locator(".cm-content").last
    editor.click()
    lab.keyboard.type(text)
