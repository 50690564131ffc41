"""Where a Hub's database is found by commands that start in another directory."""

from __future__ import annotations

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.files.whereabouts import find_databases


@pytest.fixture
def config_file(tmp_path, monkeypatch):
    """A configuration beside which there is a database; the commands start elsewhere."""
    path = tmp_path / "etc/jupyterhub_config.py"
    path.parent.mkdir()
    (path.parent / "jupyterhub.sqlite").write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return path


def found(config_file, **sections) -> str:
    config = Config(sections)
    find_databases(config, config_file)
    return str(config.get("UsageConfig", {}).get("hub_database", ""))


def test_beside_the_configuration(config_file):
    expected = f"sqlite:///{config_file.parent}/jupyterhub.sqlite"
    assert found(config_file) == expected
    assert found(config_file, JupyterHub={"db_url": "sqlite:///jupyterhub.sqlite"}) == expected


def test_in_the_state_directory_of_the_littlest(config_file, tmp_path, monkeypatch):
    state = tmp_path / "tljh/state"
    state.mkdir(parents=True)
    (state / "hub.sqlite").write_bytes(b"")
    monkeypatch.setenv("TLJH_INSTALL_PREFIX", str(tmp_path / "tljh"))
    url = {"db_url": "sqlite:///hub.sqlite"}
    assert found(config_file, JupyterHub=url) == f"sqlite:///{state}/hub.sqlite"


@pytest.mark.parametrize(
    "sections",
    [
        {"JupyterHub": {"db_url": "postgresql://db/hub"}},
        {"JupyterHub": {"db_url": "sqlite:////srv/hub.sqlite"}},
        {"JupyterHub": {"db_url": "sqlite:///nowhere.sqlite"}},
    ],
)
def test_others_are_left(config_file, sections):
    assert found(config_file, **sections) == ""


def test_what_is_configured_wins(config_file):
    own = {"UsageConfig": {"hub_database": "sqlite:///own.sqlite"}}
    assert found(config_file, **own) == "sqlite:///own.sqlite"


def test_what_is_here_wins(config_file, tmp_path):
    (tmp_path / "elsewhere/jupyterhub.sqlite").write_bytes(b"")
    assert found(config_file) == ""
