"""What is released: a wheel with the pages' scripts and styles in it, however it is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "jupyterhub_usage_quotas"
VIEWER = f"{PACKAGE}/services/viewer"
SOURCES = ["pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "frontend", PACKAGE]
NOT_COMMITTED = ("node_modules", "static", "__pycache__")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The sources as they are committed, with nothing built."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns(*NOT_COMMITTED)
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / ".gitignore", folder)
    return folder


def build(folder: Path, target: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def built(folder: Path, pattern: str) -> Path:
    (found,) = (folder / "dist").glob(pattern)
    return found


def assert_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        script = archive.read(f"{VIEWER}/static/usage-quota.js").decode()
        style = archive.read(f"{VIEWER}/static/usage-quota.css").decode()
    assert not [name for name in names if "node_modules" in name or name.startswith("frontend")]
    assert f"{VIEWER}/templates/usage-quota-user.html" in names
    assert len(script) + len(style) < 40_000, "users wait for it"
    # Hubs run without internet, and policies allow nothing from elsewhere.
    assert not re.search(r"(url\(|import\s*\(?\s*[\"'])", script + style)
    assert not re.findall(r"https?://(?!www\.w3\.org/)[^\s\"'`]+", script + style)


def test_a_wheel_from_a_checkout_and_one_from_the_source_distribution(checkout, tmp_path):
    for target in ("wheel", "sdist"):
        done = build(checkout, target)
        assert done.returncode == 0, done.stderr
    assert_whole(built(checkout, "*.whl"))
    with tarfile.open(built(checkout, "*.tar.gz")) as archive:
        archive.extractall(tmp_path / "released", filter="data")
    (released,) = (tmp_path / "released").iterdir()
    assert not (released / "frontend/node_modules").exists()
    # Who installs from it needs no npm.
    done = build(released, "wheel", PATH="/nowhere")
    assert done.returncode == 0, done.stderr
    assert_whole(built(released, "*.whl"))


def test_without_npm_it_is_said_what_to_do(checkout):
    done = build(checkout, "wheel", PATH="/nowhere")
    assert done.returncode != 0
    assert "npm was not found" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_lockfile_names_no_registry():
    lock = (ROOT / "frontend/package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
