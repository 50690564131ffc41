"""The ledger beside a real Hub's database: what somebody decides on the command line is in force
within a moment, outlasts the Hub, and is listed by `check`.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.adjusting import run
from tests.support.command_line import check
from tests.support.hub import PYTHONS, running_hub
from tests.support.ports import free_port
from tests.support.visitor import Visitor

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = "http://127.0.0.1:9"  # nobody is there
c.UsageConfig.hub_namespace = "with-ledger"
c.UsageConfig.deadline = 1
c.UsageConfig.request_timeout = 1
c.UsageQuotaManager.policy = [
    {"name": "none", "resource": "time", "limit": "0 hours", "window": 7,
     "scope": {"everyone": True}}
]
"""
AGE = "jupyterhub_usage_quotas_ledger_age_seconds"


def decide(folder: Path, *arguments: str) -> dict[str, Any]:
    """What somebody does in a shell."""
    more = ("--config", str(folder / "jupyterhub_config.py"), "--actor", "tutor", "--json")
    said = run(*arguments, *more)
    assert said.code == 0, said.err
    (adjustment,) = said.objects
    return adjustment


def told(folder: Path, user: str) -> tuple[int, list[tuple[int, str, str]]]:
    """What `check` says of a user, from elsewhere than where the Hub runs."""
    done = check(folder / "jupyterhub_config.py", "--user", user, "--json")
    found = json.loads(done.stdout)["adjustments"]
    return done.returncode, [(one["id"], one["kind"], one["actor"]) for one in found]


@pytest.mark.parametrize("version", PYTHONS)
def test_what_somebody_decides_is_in_force_in_a_moment_and_outlasts_the_hub(version, tmp_path):
    port, file = free_port(), tmp_path / "usage-quotas.sqlite"
    with running_hub(tmp_path, version, CONFIG, port) as hub:
        ada, bob = Visitor(hub.url, "ada"), Visitor(hub.url, "bob")
        assert not ada.launches()
        exempt = ("exempt", "--user", "ada", "--policy", "none", "--until", "1d")
        given = decide(tmp_path, *exempt, "--reason", "a deadline")
        # Half a second by design, and whatever a busy machine takes for its requests.
        assert ada.seconds_until_launch(allowed=True) < 5
        assert not bob.launches()
        ada.wait_until_ready()
        ada.stop()
        listed = {name: told(tmp_path, name) for name in ("ada", "bob")}
        assert listed == {"ada": (0, [(given["id"], "exemption", "tutor")]), "bob": (3, [])}
        hub.program.send_signal(signal.SIGKILL)
        hub.program.wait_for_exit()
    with running_hub(tmp_path, version, CONFIG, port) as hub:
        ada = Visitor(hub.url, "ada")
        assert ada.launches()
        ada.wait_until_ready()
        ada.stop()
        # The database goes away: what was decided counts all the same.
        with sqlite3.connect(file) as connection:
            connection.execute("ALTER TABLE usage_quotas_entries RENAME TO away")
        while hub.metric(AGE) < 2:
            assert not Visitor(hub.url, "bob").launches()
        assert ada.launches()
        ada.wait_until_ready()
        ada.stop()
        with sqlite3.connect(file) as connection:
            connection.execute("ALTER TABLE away RENAME TO usage_quotas_entries")
        decide(tmp_path, "void", str(given["id"]), "--reason", "a slip")
        assert ada.seconds_until_launch(allowed=False) < 10
    log = (tmp_path / "jupyterhub.log").read_text()
    assert log.count("The ledger cannot be read") == 1
    assert log.count("The ledger can be read again") == 1
