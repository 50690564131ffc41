"""Where files of our own are, by what is configured."""

from __future__ import annotations

import os

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError

ADDRESS = "http://prometheus.test"


def options(**section: object) -> QuotaOptions:
    config = Config({"UsageConfig": {"prometheus_url": ADDRESS, **section}})
    if database := section.pop("db_url", ""):
        config.JupyterHub.db_url = database
        del config.UsageConfig["db_url"]
    return QuotaOptions(config=config)


@pytest.mark.parametrize(
    ("database", "folder"),
    [
        ("sqlite:///jupyterhub.sqlite", "{here}"),
        ("sqlite:///data/hub.sqlite", "{here}/data"),
        ("sqlite:////srv/jupyterhub/jupyterhub.sqlite", "/srv/jupyterhub"),
        ("sqlite:////srv/a b/x.sqlite?timeout=5", "/srv/a b"),
        ("sqlite://", ""),
        ("sqlite:///:memory:", ""),
        ("postgresql://hub:secret@database/hub", "{here}"),
        ("mysql+pymysql://hub:secret@database/hub", "{here}"),
        ("jupyterhub.sqlite", "{here}"),
    ],
)
def test_it_is_beside_the_database(database, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert options(db_url=database).state_dir == folder.format(here=tmp_path)


def test_where_there_is_no_working_directory_nothing_is_kept(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    os.rmdir(gone)
    assert options().state_dir == ""
    assert options().make_checkpoint(ADDRESS, writer=True) is None


def test_as_it_is_configured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = options(state_dir="state").make_checkpoint(ADDRESS, writer=True)
    assert kept
    assert kept.path == tmp_path / "state/usage-quotas.checkpoint"
    assert options(state_dir="").make_checkpoint(ADDRESS, writer=True) is None


@pytest.mark.parametrize("wrong", ["a\0b", "a\nb", "\ud800", 5, None, ["x"]])
def test_what_is_no_folder_is_named(wrong):
    with pytest.raises(ConfigurationError, match=r"UsageConfig\.state_dir"):
        options(state_dir=wrong)


@pytest.mark.parametrize("writer", [True, False])
async def test_of_the_processes_only_one_writes(writer, tmp_path):
    meter = options(state_dir=str(tmp_path)).make_meter(writer=writer)
    await meter.save()
    assert [one.name for one in tmp_path.iterdir()] == ["usage-quotas.checkpoint"] * writer
    await meter.aclose()
