"""What is released: a wheel with the pages' scripts and styles in it, however it is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from jupyterhub_usage_quotas import __version__
from tests.support.paths import ROOT

PACKAGE = "jupyterhub_usage_quotas"
VIEWER = f"{PACKAGE}/services/viewer"
SOURCES = ["pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "frontend", PACKAGE]
NOT_COMMITTED = ("node_modules", "__pycache__")


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
    # Of the two folders of this name the other one, of the Hub's pages, is committed.
    shutil.rmtree(folder / VIEWER / "static", ignore_errors=True)
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
    committed = {
        path.relative_to(ROOT).as_posix()
        for kind in ("*.html", "*.css", "*.js", "*.po", "*.pot")
        for path in (ROOT / PACKAGE).rglob(kind)
    }
    assert committed <= set(names)
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


HOME = "https://forge.example.org/people/quotas"


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode())


def addresses(text: str) -> set[str]:
    """Where links and pictures of a page lead."""
    return set(re.findall(r"\]\(([^)]+)\)", text))


@pytest.mark.parametrize("project_url", ["", HOME, f"{HOME}/"])
def test_links_work_where_the_readme_is_shown_elsewhere(checkout, project_url):
    """On a package index there is no file beside it."""
    done = build(checkout, "wheel", PROJECT_URL=project_url)
    assert done.returncode == 0, done.stderr
    metadata = metadata_of(built(checkout, "*.whl"))
    assert metadata["Version"] == __version__
    links = dict(one.split(", ") for one in metadata.get_all("Project-URL", []))
    shown, written = metadata.get_payload(), (ROOT / "README.md").read_text()
    relative = {one for one in addresses(written) if not one.startswith("http")}
    pictures = {one for one in relative if one.endswith(".png")}
    assert len(pictures) == 2
    assert len(relative) > 10
    outside = {one for one in addresses(written) if one.startswith("http")}
    if not project_url:
        # It is not known where they are; better none than a link to somebody else's.
        assert (links, addresses(shown)) == ({}, outside)
        assert not [one for one in relative - pictures if one.partition("#")[0] not in shown]
        return
    assert addresses(shown) == (
        outside
        | {f"{HOME}/raw/HEAD/{one}" for one in pictures}
        | {f"{HOME}/blob/HEAD/{one}" for one in relative - pictures}
    )
    assert links == {
        "Source": HOME,
        "Documentation": f"{HOME}/blob/HEAD/docs/index.md",
        "Changelog": f"{HOME}/blob/HEAD/CHANGELOG.md",
        "Issues": f"{HOME}/issues",
    }


def test_a_release_links_to_its_own_tag(checkout):
    conventions = checkout / PACKAGE / "conventions.py"
    text = conventions.read_text()
    conventions.write_text(text.replace(f'"{__version__}"', '"2.3.4"'))
    done = build(checkout, "wheel", PROJECT_URL=HOME)
    assert done.returncode == 0, done.stderr
    metadata = metadata_of(built(checkout, "jupyterhub_usage_quotas-2.3.4-*.whl"))
    shown = addresses(metadata.get_payload())
    assert f"{HOME}/blob/v2.3.4/docs/index.md" in shown
    assert f"{HOME}/raw/v2.3.4/docs/images/denied.png" in shown
    assert not [one for one in shown if "HEAD" in one]


def test_without_npm_it_is_said_what_to_do(checkout):
    done = build(checkout, "wheel", PATH="/nowhere")
    assert done.returncode != 0
    assert "npm was not found" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_lockfile_names_no_registry():
    lock = (ROOT / "frontend/package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
