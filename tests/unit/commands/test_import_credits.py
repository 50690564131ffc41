"""`import-credits`: balances of the credit service's own tables, of both generations, go on here.

The tables were made by its own models (`tests/data/credit-service`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment, Grant, Override, allowance
from jupyterhub_usage_quotas.quotas.policy.policy import Policy
from jupyterhub_usage_quotas.quotas.subject import EVERYONE
from tests.support.adjusting import Said, hub_with, run
from tests.support.paths import ROOT

JOINED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DATA = ROOT / "tests/data/credit-service"
FILE = """
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub_credit_service import CreditsAuthenticator, CreditsSpawner
class Ours(DummyAuthenticator, CreditsAuthenticator): pass
class Servers(SimpleLocalProcessSpawner, CreditsSpawner): pass
c.JupyterHub.authenticator_class = Ours
c.JupyterHub.spawner_class = Servers
c.JupyterHub.db_url = 'sqlite:///{folder}/jupyterhub.sqlite'
c.UsageConfig.ledger_url = 'sqlite:///{folder}/ledger.sqlite'
"""
OLDER = """
c.Ours.credits_user_grant_value = 5
c.Ours.credits_available_projects = [
    {"name": "p", "cap": 500, "grant_value": 50, "grant_interval": 3600}
]
"""
BY_FUNCTION = "c.Ours.credits_user_cap = lambda name, groups, admin: 1 / 0\n"
NEWER = """
c.Ours.credits_user = {
    "name": "default", "cap": 40, "grant_value": 4, "grant_interval": 600,
    "project": {"name": "p", "cap": 500, "grant_value": 50, "grant_interval": 3600},
}
"""


def config_in(folder: Path, release: str, more: str) -> str:
    hub_with(folder, {"ada": [], "bob": [], "cy": []}, JOINED)
    with sqlite3.connect(folder / "jupyterhub.sqlite") as database:
        database.executescript((DATA / f"tables-{release}.sql").read_text())
    file = folder / "jupyterhub_config.py"
    file.write_text(FILE.format(folder=folder) + more)
    # What the service would have granted since is there, too: these are of now.
    granted(file.parent, datetime.now(UTC))
    return str(file)


def granted(folder: Path, at: datetime) -> None:
    with sqlite3.connect(folder / "jupyterhub.sqlite") as database:
        for (table,) in database.execute(
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c"
            " WHERE c.name = 'grant_last_update'"
        ).fetchall():
            text = at.replace(tzinfo=None).isoformat(" ", "microseconds")
            database.execute(f"UPDATE {table} SET grant_last_update = ?", [text])


def imported(config: str, *more: str) -> Said:
    return run("import-credits", "--config", config, "--actor", "admin", *more)


def written(config: str) -> list[Adjustment]:
    async def read() -> list[Adjustment]:
        ledger = SqlLedger.at(f"sqlite:///{Path(config).with_name('ledger.sqlite')}")
        try:
            return list(reversed(await ledger.history(EVERYONE)))
        finally:
            await ledger.aclose()

    return asyncio.run(read())


def course(config: str, user: str | None, name: str, cap: float) -> list[tuple[float, float]]:
    """`(minutes from now, allowance)` where it changes, as the rules see it."""
    policy = Policy.model_validate(
        {
            "name": name,
            "resource": "credits",
            "limit": f"{cap:g} credits",
            "window": {"refill": 1, "every": "1 day"},
            "scope": {"everyone": True},
        }
    )
    own = [one for one in written(config) if one.user == user and one.policy == name]
    start = own[0].start
    corners = sorted({one.start for one in own} | {one.until for one in own})
    return [
        ((at - start) / timedelta(minutes=1), allowance(policy, own, user or "", at))
        for at in corners
    ]


def test_it_is_only_shown_unless_it_is_to_be_written(tmp_path):
    config = config_in(tmp_path, "0.1.3", OLDER)
    said = imported(config)
    assert said.code == 0, said.err
    assert not Path(config).with_name("ledger.sqlite").exists()
    assert "dry run" in said.err
    assert "the release 0.1\n" in said.err
    assert "not read: 'gone', credits 'default': the Hub has no user of this name" in said.err
    assert "full, and need nothing: 1" in said.err


def test_balances_of_the_first_generation(tmp_path):
    config = config_in(tmp_path, "0.1.3", OLDER)
    assert imported(config, "--write").code == 0
    # 30 of 100, and 5 come every 10 minutes: 14 times, two at a time.
    assert course(config, "ada", "credits", 100) == [
        (minutes, 30 + minutes / 2) for minutes in range(0, 141, 20)
    ]
    assert not [one for one in written(config) if one.user == "bob"]
    # 450, of which the configuration allows 100.
    (more,) = (one for one in written(config) if one.user == "cy")
    assert isinstance(more, Grant)
    assert more.amount == 350
    # 120 of 500, and 50 come every hour.
    project = course(config, None, "credits of project p", 500)
    assert project[0] == (0, 120)
    assert project[-1] == (8 * 60, 500)
    assert all(one.actor == "admin" and one.reason for one in written(config))
    assert all(one.user_created == JOINED for one in written(config) if one.user)


def test_balances_of_the_second_generation(tmp_path):
    config = config_in(tmp_path, "0.4.2", NEWER)
    said = imported(config, "--write")
    assert said.code == 0, said.err
    assert "the release 0.2 or later" in said.err
    assert "not read: 'ada', credits 'gold'" in said.err
    assert course(config, "ada", "credits", 40)[0] == (0, 20)
    assert course(config, "ada", "credits", 40)[-1] == (50, 40)


def test_tables_that_an_upgrade_left_behind_are_not_read(tmp_path):
    config = config_in(tmp_path, "0.1.3", NEWER)
    with sqlite3.connect(tmp_path / "jupyterhub.sqlite") as database:
        database.executescript((DATA / "tables-0.4.2.sql").read_text())
    granted(tmp_path, datetime.now(UTC))
    assert "0.2 or later" in imported(config).err


def test_it_is_written_once(tmp_path):
    config = config_in(tmp_path, "0.1.3", OLDER)
    assert imported(config, "--write").code == 0
    before = written(config)
    again = imported(config, "--write")
    assert (again.code, again.out) == (2, "")
    assert "were read before" in again.err
    assert written(config) == before


def test_what_would_have_been_granted_by_now_is_there(tmp_path):
    config = config_in(tmp_path, "0.1.3", OLDER)
    granted(tmp_path, datetime.now(UTC) - timedelta(minutes=65))
    assert imported(config, "--write").code == 0
    assert course(config, "ada", "credits", 100)[0] == (0, 30 + 6 * 5)


def test_what_functions_gave_last_is_remembered_and_they_are_not_called(tmp_path):
    config = config_in(tmp_path, "0.1.3", OLDER + BY_FUNCTION)
    said = imported(config, "--write")
    assert said.code == 0, said.err
    # 450 of 500: not a grant on top of the usual cap.
    assert [one for one in written(config) if isinstance(one, Grant)] == []
    (below, *_) = (one for one in written(config) if one.user == "cy")
    assert isinstance(below, Override)
    assert below.limit == 450
    with sqlite3.connect(tmp_path / "ledger.sqlite") as ledger:
        kept = {
            (user, policy): said
            for user, policy, said in ledger.execute(
                "SELECT username, policy, said FROM usage_quotas_terms"
            )
        }
    assert '"limit": 500.0' in kept["cy", "credits"]
    assert ("ada", "credits of project p") in kept
    assert ("bob", "credits of project p") not in kept


@pytest.mark.parametrize(
    "change",
    [
        "balance = -1",
        "balance = 'many'",
        "balance = 1e400",
        "balance = NULL",
        "grant_interval = 0",
        "grant_last_update = 'yesterday'",
        "grant_last_update = NULL",
    ],
)
def test_a_row_that_is_none_is_said_and_the_others_are_read(tmp_path, change):
    config = config_in(tmp_path, "0.1.3", OLDER)
    with sqlite3.connect(tmp_path / "jupyterhub.sqlite") as database:
        database.execute(f"UPDATE user_credits SET {change} WHERE name = 'ada'")
    said = imported(config, "--write")
    assert said.code == 0, said.err
    assert "not read: 'ada': " in said.err
    assert {one.user for one in written(config)} == {"cy", None}


def test_names_do_not_steer_a_terminal(tmp_path):
    config = config_in(tmp_path, "0.1.3", OLDER)
    with sqlite3.connect(tmp_path / "jupyterhub.sqlite") as database:
        database.execute("UPDATE user_credits SET name = ? WHERE name = 'gone'", ["\x1b[2J"])
    assert "\x1b" not in imported(config).err


def test_where_there_is_nothing_to_read(tmp_path):
    (tmp_path / "none").mkdir()
    hub_with(tmp_path / "none", {}, JOINED)
    file = tmp_path / "none" / "jupyterhub_config.py"
    file.write_text(FILE.format(folder=file.parent) + OLDER)
    said = imported(str(file), "--write")
    assert (said.code, said.out) == (0, "")
    assert "no balances of the credit service" in said.err
    assert imported(str(file), "--from", f"sqlite:///{tmp_path / 'x'}").code == 4
    file.write_text(f"c.JupyterHub.db_url = 'sqlite:///{tmp_path / 'none/jupyterhub.sqlite'}'\n")
    assert imported(str(file)).code == 2
