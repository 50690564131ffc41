"""What strangers see first: nothing in it leads to the older package of the same name, and what it
names is there.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from jupyterhub_usage_quotas.config.about import imported
from jupyterhub_usage_quotas.conventions import __version__
from tests.support.documentation import PAGES
from tests.support.paths import ROOT

NAME = "jupyterhub-usage-quotas"
THEIR_SITE = f"{NAME}.readthedocs"
BY_NAME = re.compile(rf"pip3? install\b[^\n`]*?(?<![\w./-]){NAME}(?![\w./-]|\[\w+\] @)")
"""`pip install` of the name alone, which is the other package on the index."""

FOLDERS = (
    "charts-config",
    "docs",
    "jupyterhub_usage_quotas",
    "scripts",
    "newsfragments",
    ".github",
)
TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASE.md", "SECURITY.md", "Makefile")
TOP_TOO = ("pyproject.toml", "hatch_build.py", ".pre-commit-config.yaml", ".readthedocs.yaml")
KINDS = {".md", ".py", ".yaml", ".yml", ".html", ".json", ".txt", ".toml", ""}


def texts() -> list[Path]:
    within = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    paths = [*within, *(ROOT / name for name in (*TOP, *TOP_TOO))]
    built = {"_build", "__pycache__", "node_modules", "static"}
    return [
        path
        for path in paths
        if path.is_file() and path.suffix in KINDS and built.isdisjoint(path.parts)
    ]


def leading_astray(text: str) -> list[str]:
    return [THEIR_SITE] * text.count(THEIR_SITE) + BY_NAME.findall(text)


def test_nothing_leads_to_the_older_package():
    found = texts()
    assert len(found) > 200
    assert {path: wrong for path in found if (wrong := leading_astray(path.read_text()))} == {}


@pytest.mark.parametrize(
    ("text", "astray"),
    [
        (f"https://{THEIR_SITE}.io/en/latest/", True),
        (f"pip install {NAME}", True),
        (f"python3 -m pip install --upgrade '{NAME}[aws]'", True),
        (f"pip install httpx {NAME}==1.0", True),
        ("pip install .", False),
        (f"pip install ./{NAME}", False),
        ("pip install dist/jupyterhub_usage_quotas-1.0.0-py3-none-any.whl", False),
        (f"`pip install --upgrade` ... `{NAME}==0.2.1`", False),
    ],
)
def test_what_leads_astray_would_be_found(text, astray):
    assert bool(leading_astray(text)) is astray


def test_readme_is_understood_in_half_a_minute():
    """One sentence, how to install, five lines of configuration, a picture, seven bullets."""
    text = (ROOT / "README.md").read_text()
    before = text.partition("\n## ")[0]
    assert len(before.split()) < 400
    assert "**Usage quotas for JupyterHub: limit " in before
    (configuration,) = re.findall(r"```python\n(.*?)```", before, re.S)
    assert len([line for line in configuration.splitlines() if line]) == 5
    assert len(re.findall(r"^- \*\*", before, re.M)) == 7
    assert "(docs/images/denied.png)" in before


PACKAGE = ROOT / "jupyterhub_usage_quotas"
CONTRIBUTING = [
    *(ROOT / name for name in ("CONTRIBUTING.md", "RELEASE.md", "SECURITY.md")),
    ROOT / "newsfragments/README.md",
    *sorted((ROOT / "docs/contributing").glob("*.md")),
]


def paths_named(page: Path) -> set[str]:
    """What a page names in code that looks like a file or folder of this repository."""
    folders = "|".join(re.escape(path.name) for path in [*ROOT.iterdir(), *PACKAGE.iterdir()])
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text())
    return {name for name in named if "..." not in name}


@pytest.mark.parametrize("page", CONTRIBUTING, ids=lambda page: page.name)
def test_every_file_that_a_newcomer_is_sent_to_is_there(page):
    missing = [
        name
        for name in paths_named(page)
        if not (ROOT / name).exists() and not (PACKAGE / name).exists()
    ]
    assert missing == []


def test_newcomers_are_sent_to_files():
    assert sum(len(paths_named(page)) for page in CONTRIBUTING) > 50


def test_pages_for_contributors_are_looked_at():
    assert set(CONTRIBUTING) <= set(PAGES)


# --- news fragments -----------------------------------------------------------------------------


def kinds() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    return [kind["directory"] for kind in settings["type"]]


def test_every_news_fragment_is_of_a_kind_that_there_is():
    page = (ROOT / "newsfragments/README.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == kinds()
    for path in (ROOT / "newsfragments").iterdir():
        if path.name not in ("README.md", ".gitignore"):
            assert re.fullmatch(rf"(\d+|\+[\w-]+)\.({'|'.join(kinds())})\.md", path.name), path
            text = path.read_text().strip()
            assert text
            assert not text.startswith(("-", "#")), f"{path}: towncrier adds these"


def test_the_changelog_has_the_place_for_releases():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    assert (ROOT / settings["filename"]).read_text().count(settings["start_string"]) == 1


# --- workflows ----------------------------------------------------------------------------------

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_few_rights_and_fixed_actions(path):
    text = path.read_text()
    document = yaml.safe_load(text)
    assert document["permissions"] == {}
    for name, job in document["jobs"].items():
        assert job["permissions"], name
        assert "timeout-minutes" in job or "uses" in job, name
    used = re.findall(r"uses: (\S+)(.*)", text)
    for action, comment in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v[\d.]+", comment), action


def test_workflows_run_targets_that_there_are():
    makefile = (ROOT / "Makefile").read_text()
    targets = {
        target
        for path in WORKFLOWS
        for target in re.findall(r"run: make ([\w-]+)", path.read_text())
    }
    assert targets == {"docs", "quick", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_what_the_release_looks_for_is_what_the_command_prints(tmp_path):
    """The step runs as it is written, with the tag of this version and of others."""
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    (step,) = (one["run"] for one in release["jobs"]["build"]["steps"] if "said=" in str(one))
    programs = {"python": "true", NAME: f"echo {shlex.quote(imported())}"}
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "CHANGELOG.md").write_text(f"## {__version__} - 2026-12-01\n")
    path = f"{tmp_path}:{os.environ['PATH']}"

    def passes(tag: str) -> bool:
        environment = {"PATH": path, "GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": tag}
        bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step]
        return subprocess.run(bash, cwd=tmp_path, env=environment, check=False).returncode == 0

    assert passes(f"v{__version__}")
    assert not passes(f"v{__version__}1")
    assert not passes("v0.9")
