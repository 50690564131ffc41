"""Which distribution is imported, and where the package is documented."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from packaging.version import Version
from traitlets.config import Config

import jupyterhub_usage_quotas
from jupyterhub_usage_quotas.commands import main
from jupyterhub_usage_quotas.config.about import explained_at, imported, installed, namesakes
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.launch.enforcement import UsageQuotaManager

NAME = "jupyterhub-usage-quotas"
OURS = jupyterhub_usage_quotas.__version__
FOLDER = str(Path(jupyterhub_usage_quotas.__file__).parent)


def install(folder: Path, version: str, *, name: str = NAME, editable: bool = False) -> str:
    """What pip leaves behind where it installed a distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if editable:
        origin = {"url": "file:///checkout", "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(origin))
    return str(folder)


def test_no_version_of_ours_can_be_taken_for_the_older_package():
    # Its versions: 0.1.0 to 0.2.1 as of November 2026.
    assert Version(OURS) >= Version("1.0.0.dev0")


def test_the_command_line_says_which_distribution_it_is(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{NAME} {OURS}, imported from {FOLDER}\n"
    assert imported() == f"{NAME} {OURS}, imported from {FOLDER}"


@pytest.mark.parametrize(
    ("version", "editable", "is_imported"),
    [
        (OURS, False, True),
        (OURS, True, True),
        ("0.2.1", False, False),
        ("0.2.1", True, False),
        # A release of ours, or of somebody else's, whose files were replaced by other means.
        ("1.7.3", False, False),
        # A checkout that was updated since it was installed.
        ("1.7.3", True, True),
    ],
)
def test_what_is_installed_and_is_not_what_is_imported(tmp_path, version, editable, is_imported):
    where = install(tmp_path, version, editable=editable)
    (found,) = installed([where])
    assert (found.version, found.folder, found.editable) == (version, where, editable)
    lines = namesakes([where])
    assert lines == (
        []
        if is_imported
        else [f"{NAME} {version} is installed in {where}, but {OURS} is imported from {FOLDER}"]
    )


def test_all_distributions_of_the_name_are_found_and_no_others(tmp_path):
    ours = install(tmp_path / "a", OURS)
    theirs = install(tmp_path / "b", "0.2.1")
    install(tmp_path / "b", "0.2.1", name="jupyterhub-usage-quotas-extras")
    nothing = str(tmp_path / "c")
    found = [one.version for one in installed([ours, theirs, nothing, theirs])]
    assert found == [OURS, "0.2.1"]
    assert list(installed([nothing])) == []


def test_pythons_own_path_is_looked_through(tmp_path, monkeypatch):
    before = len(list(installed()))
    monkeypatch.setattr(sys, "path", [install(tmp_path, "0.2.1"), *sys.path])
    assert len(list(installed())) == before + 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("  ", ""),
        ("https://docs.example.org", "https://docs.example.org/"),
        ("https://docs.example.org/quotas/", "https://docs.example.org/quotas/"),
        ("http://10.0.0.1:8080/q//", "http://10.0.0.1:8080/q/"),
    ],
)
def test_where_the_documentation_is_served(given, kept):
    config = Config(UsageConfig={"documentation_url": given})
    assert UsageConfig(config=config).documentation_url == kept


def test_by_default_it_is_served_nowhere():
    assert UsageConfig().documentation_url == ""


@pytest.mark.parametrize(
    "given",
    ["docs.example.org", "ftp://x/", "https://", "https://x/?a=b", "https://x/#a", "http://["],
)
def test_an_address_that_cannot_be_one_stops_the_hub(given):
    with pytest.raises(ConfigurationError) as refused:
        UsageQuotaManager(config=Config(UsageConfig={"documentation_url": given}))
    (error,) = refused.value.errors
    assert f"got {given!r}; expected a URL" in error


def test_a_page_is_named_by_its_address_or_by_its_file():
    page = ("how-to/troubleshooting", "clock")
    assert explained_at("", *page) == "docs/how-to/troubleshooting.md#clock"
    assert explained_at("https://x/q/", *page) == "https://x/q/how-to/troubleshooting.html#clock"
