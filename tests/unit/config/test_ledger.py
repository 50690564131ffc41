"""The option that says where the ledger is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.files.whereabouts import find_databases
from jupyterhub_usage_quotas.config.ledger import default_ledger_url
from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from tests.support.decided import LEDGER

SECRET = "s3cret"


def options(url: Any, **more: Any) -> QuotaOptions:
    return QuotaOptions(config=Config(UsageConfig={"ledger_url": url}, UsageQuotaManager=more))


def test_without_one_there_are_no_decisions():
    assert QuotaOptions().make_ledger() is NO_LEDGER
    assert options("").make_ledger() is NO_LEDGER


async def test_a_ledger_is_made_and_its_database_is_left_alone(tmp_path: Path):
    made = options(f"sqlite:///{tmp_path}/ledger.sqlite").make_ledger()
    assert isinstance(made, CachedLedger)
    assert not (tmp_path / "ledger.sqlite").exists()
    await made.aclose()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"oracle://u:{SECRET}@db/q", "got oracle://; expected SQLite, PostgreSQL or MariaDB"),
        (f"u:{SECRET}@db", "got a text that is no URL; expected a URL of a database"),
        (f"postgresql://u:{SECRET}@db", "names no database that processes can share"),
        ([f"postgresql://u:{SECRET}@db/q"], "got list; expected a text"),
        (None, "got None; expected a text"),
    ],
)
def test_what_is_no_url_of_a_database_is_refused_without_its_password(url: Any, says: str):
    with pytest.raises(ConfigurationError) as refused:
        options(url)
    (line,) = refused.value.errors
    assert line.startswith("UsageConfig.ledger_url: ")
    assert says in line
    assert SECRET not in str(refused.value)


def test_a_ledger_of_the_admins_own_beside_it_is_refused():
    with pytest.raises(ConfigurationError) as refused:
        options("sqlite:///ledger.sqlite", ledger_factory=LEDGER)
    (line,) = refused.value.errors
    assert "ledger_url does not go with UsageQuotaManager.ledger_factory" in line


@pytest.mark.parametrize("there", [True, False])
def test_a_command_finds_it_where_the_hub_starts(tmp_path: Path, monkeypatch, there: bool):
    monkeypatch.chdir(tmp_path)
    hub = tmp_path / "hub"
    hub.mkdir()
    if there:
        (hub / "ledger.sqlite").touch()
    config = Config(UsageConfig={"ledger_url": "sqlite:///ledger.sqlite"})
    find_databases(config, hub / "jupyterhub_config.py")
    found = f"{hub}/ledger.sqlite" if there else "ledger.sqlite"
    assert config.UsageConfig.ledger_url == f"sqlite:///{found}"


# --- beside the Hub's database -------------------------------------------------------------------

FILE = "usage-quotas.sqlite"


@pytest.mark.parametrize(
    ("config", "is_default"),
    [
        ({}, True),
        ({"UsageConfig": {"prometheus_url": "http://p"}}, True),
        ({"UsageConfig": {"ledger_url": ""}}, False),
        ({"UsageConfig": {"ledger_url": "sqlite:////other.sqlite"}}, False),
        ({"UsageQuotaManager": {"ledger_factory": LEDGER}}, False),
        ({"UsageQuotaManager": {"ledger_factory": None}}, True),
    ],
)
def test_it_is_beside_the_hubs_database_unless_it_is_said_where(tmp_path, config, is_default):
    database = {"JupyterHub": {"db_url": f"sqlite:///{tmp_path}/hub.sqlite"}}
    found = default_ledger_url(Config(database | config), in_hub=True)
    assert found == (f"sqlite:///{tmp_path}/{FILE}" if is_default else "")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "postgresql://u:p@db/hub", "mysql://db/hub", "none"]
)
def test_beside_a_database_that_is_no_file_there_is_none(url):
    assert default_ledger_url(Config(JupyterHub={"db_url": url}), in_hub=True) == ""


def test_where_the_hub_starts_is_known_in_the_hub_and_by_its_database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    beside = f"sqlite:///{tmp_path}/{FILE}"
    assert default_ledger_url(Config(), in_hub=True) == beside
    assert default_ledger_url(Config()) == ""
    (tmp_path / "jupyterhub.sqlite").touch()
    assert default_ledger_url(Config()) == beside


@pytest.mark.parametrize("there", [True, False])
def test_commands_that_read_find_it_where_the_hub_has_made_it(tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "jupyterhub.sqlite").touch()
    if there:
        (hub / FILE).touch()
    config = Config()
    find_databases(config, hub / "jupyterhub_config.py")
    assert config.UsageConfig.get("ledger_url") == (f"sqlite:///{hub}/{FILE}" if there else None)
