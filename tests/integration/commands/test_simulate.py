"""Policies tried on the past of a real Prometheus: figures worked out by hand, and errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jupyterhub import orm

from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.forked import run_command
from tests.support.programs import Span, free_port
from tests.support.recorded import NOW

CONFIG = """
c = get_config()
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.stale_after = 7200.0
c.JupyterHub.db_url = {database!r}
c.UsageQuotaManager.policy = [
    {{"name": "day", "resource": "memory", "limit": "6 GiB-hours", "window": "24h",
      "scope": {{"group": ["students"]}}}},
]
"""
KNOWN = 36 * HOUR
MINUTES = 180
"""A pod is seen to begin and end to the minute, more or less."""


def pod(user: str, begin: int, end: int, **more: object) -> Pod:
    """A pod that ran from so many hours ago until so many."""
    start, until = NOW - begin * HOUR + 60, NOW - end * HOUR - 60
    return Pod(user, start, until, f"jupyter-{user}", f"{user}-{begin}", **more)


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - KNOWN, NOW)
    # Ada uses 2 GiB: 8 GiB-hours of her 6, and 4 more when she is denied.
    yield from pod("ada", 30, 26, memory=2 * GIB).spans
    yield from pod("ada", 20, 18, memory=2 * GIB).spans
    yield from pod("bob", 20, 17, memory=GIB).spans
    yield from pod("gone", 20, 17, memory=GIB).spans


@pytest.fixture(scope="module")
def config(serve_history: Callable[..., str], tmp_path_factory) -> Path:
    return written(tmp_path_factory.mktemp("simulate"), serve_history(history()))


def written(folder: Path, url: str) -> Path:
    database = f"sqlite:///{folder}/hub.sqlite"
    db = orm.new_session_factory(database)()
    ada, bob, cid = (orm.User(name=one) for one in ("ada", "bob", "cid"))
    db.add_all([ada, bob, cid, orm.Group(name="students", users=[ada, bob])])
    db.commit()
    db.close()
    path = folder / "jupyterhub_config.py"
    path.write_text(CONFIG.format(url=url, namespace=NAMESPACE, database=database))
    return path


def simulate(config: Path, *arguments: str | Path):
    return run_command("simulate", "--config", config, *map(str, arguments))


def ago(text: str) -> float:
    """How many seconds ago an instant of JSON was."""
    return NOW - datetime.fromisoformat(text).timestamp()


def test_who_would_have_been_denied_when_and_for_how_long(config):
    done = simulate(config, "--since", "40h", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["assumes"] == "usage as it was"
    (ada,) = said["users"]
    assert (ada["user"], ada["groups"], ada["launches"]) == ("ada", ["students"], 2)
    (denied,) = ada["denied"]
    assert ago(denied["at"]) == pytest.approx(20 * HOUR, abs=MINUTES)
    # More than 2 of 8 GiB-hours must be gone: an hour of the four that began thirty hours ago.
    assert ago(denied["retry_time"]) == pytest.approx((30 - 1 - 24) * HOUR, abs=MINUTES)
    (over,) = ada["over"]
    assert ago(over["start"]) == pytest.approx(27 * HOUR, abs=MINUTES)
    # What she used when she was denied counts, as it was: 12, of which 6 must be gone.
    assert ago(over["end"]) == pytest.approx((30 - 3 - 24) * HOUR, abs=MINUTES)
    assert ada["hours_denied"] == pytest.approx(24, abs=0.1)


def test_how_usage_is_distributed_and_which_limit_denies_few(config):
    said = json.loads(simulate(config, "--since", "40h", "--json", "--share", "0").stdout)
    (day,) = said["policies"]
    assert (day["users"], day["users_active"], day["users_denied"]) == (2, 2, 1)
    assert (day["launches"], day["launches_denied"]) == (3, 1)
    usage = day["usage"]
    assert (usage["count"], usage["median"]) == (2, pytest.approx(3, abs=0.1))
    assert usage["p95"] == usage["p99"] == usage["largest"] == pytest.approx(12, abs=0.2)
    # Ada had used 8 when she started again, bob nothing.
    assert day["suggested"]["limit"] == pytest.approx(8, abs=0.2)
    assert day["suggested"]["users"] == 0
    assert day["at_limit"] == {"limit": 6, "users": 0.5, "launches": pytest.approx(1 / 3)}
    half = json.loads(simulate(config, "--since", "40h", "--json", "--share", "50").stdout)
    assert half["policies"][0]["suggested"]["limit"] <= 1


def test_missing_is_not_zero(config):
    """Prometheus has a day and a half; launches in it may have been denied for what was before."""
    done = simulate(config, "--since", "30d", "--json")
    said = json.loads(done.stdout)
    for end in ("start", "known_from"):
        assert ago(said[end]) == pytest.approx(KNOWN, abs=10 * 60)
    now = datetime.now(UTC).timestamp() - NOW
    assert ago(said["asked_from"]) + now == pytest.approx(30 * 24 * HOUR, abs=60)
    (ada,) = said["users"]
    assert ada["launches_uncertain"] == 1
    assert "1 users who used something and are not in the Hub" in done.stderr


def test_the_table_says_the_same(config):
    done = simulate(config, "--since", "40h")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "usage as it was" in lines[0]
    assert any(line.startswith("Nothing is known before 20") for line in lines)
    rows = [line.split() for line in lines]
    assert ["day", "24", "hours", "6", "GiB-hours", "2", "1", "3", "1", "0"] in rows or [
        "day", "1", "day", "6", "GiB-hours", "2", "1", "3", "1", "0"
    ] in rows  # fmt: skip
    groups = {row[0]: row[1:7] for row in rows if row and row[0] in ("students", "(all")}
    assert groups["students"] == ["2", "2", "1", "3", "1", "0"]
    (ada,) = [row for row in rows if row and row[0] == "ada"]
    assert ada[1:4] == ["2", "1", "0"]


def test_other_policies_are_tried_in_place_of_the_configured_ones(config, tmp_path):
    file = tmp_path / "tried.json"
    tried = {"resource": "memory", "limit": "1 GiB-hours", "window": 1, "scope": {"user": ["bob"]}}
    for given in ([tried | {"when_exhausted": "stop"}], {"policy": [tried]}):
        file.write_text(json.dumps(given))
        said = json.loads(simulate(config, "--policy", file, "--since", "30h", "--json").stdout)
        (policy,) = said["policies"]
        (bob,) = said["users"]
        assert (policy["users"], bob["user"], bob["denied"]) == (1, "bob", [])
        stops = isinstance(given, list)
        assert [stop["server"] for stop in bob["stopped"]] == [""] * stops
    file.write_text(json.dumps([tried | {"when_exhausted": "stop"}]))
    said = json.loads(simulate(config, "--policy", file, "--since", "30h", "--json").stdout)
    (stopped,) = said["users"][0]["stopped"]
    assert ago(stopped["at"]) == pytest.approx(19 * HOUR, abs=MINUTES)
    assert stopped["ran_on_seconds"] == pytest.approx(2 * HOUR, abs=MINUTES)


def test_without_what_was_denied(config, tmp_path):
    """Ada's second server is denied, so it ends for her when a quarter of her eight is gone."""
    said = json.loads(simulate(config, "--since", "40h", "--json", "--without-denied").stdout)
    assert said["assumes"] == "without what was denied"
    (ada,) = said["users"]
    (over,) = ada["over"]
    assert len(ada["denied"]) == 1
    assert ago(over["end"]) == pytest.approx((30 - 1 - 24) * HOUR, abs=MINUTES)
    assert said["policies"][0]["suggested"] is None
    pool = {"resource": "time", "limit": "9 hours", "window": 7, "scope": {"everyone": True}}
    file = tmp_path / "tried.json"
    file.write_text(json.dumps([pool | {"share": "pooled"}]))
    done = simulate(config, "--policy", file, "--without-denied")
    assert done.returncode == 2
    assert "--without-denied does not go with pools" in done.stderr


@pytest.mark.parametrize(
    ("written_", "says"),
    [
        (
            '[{"name": "week", "resource": "memroy"}]',
            "policy[0] ('week').resource: unknown resource",
        ),
        ('{"policies": []}', "unknown key: got 'policies'; did you mean policy?"),
        ("[", "not JSON"),
        ('"text"', "policy: must be a list of policies"),
        (None, "No such file"),
    ],
)
def test_wrong_policies_are_named(config, tmp_path, written_, says):
    file = tmp_path / "tried.json"
    if written_ is not None:
        file.write_text(written_)
    done = simulate(config, "--policy", file)
    assert done.returncode == 2
    assert f"{file}: " in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "yesterday"),
        ("--since", "10y"),
        ("--since", "400d"),
        ("--since", "2999-01-01T00:00Z"),
        ("--share", "101"),
        ("--share", "nan"),
    ],
)
def test_wrong_arguments(config, arguments):
    done = simulate(config, *arguments)
    assert done.returncode == 2
    assert arguments[1] in done.stderr
    assert "Traceback" not in done.stderr


def test_an_instant_to_begin_at(config):
    since = f"{datetime.fromtimestamp(NOW - 19 * HOUR).astimezone().isoformat()}"
    said = json.loads(simulate(config, "--since", since, "--json").stdout)
    assert ago(said["start"]) == pytest.approx(19 * HOUR)
    assert said["everybody"]["launches"] == 0


def test_usage_that_is_not_known(tmp_path):
    done = simulate(written(tmp_path, f"http://127.0.0.1:{free_port()}"))
    assert done.returncode == 4
    assert "usage is not known" in done.stderr
    assert "unreachable" in done.stderr
    assert done.stdout == ""


def test_users_who_are_not_known(config, tmp_path):
    other = tmp_path / "jupyterhub_config.py"
    other.write_text(config.read_text() + "c.JupyterHub.db_url = 'sqlite:////not/there.sqlite'\n")
    done = simulate(other)
    assert done.returncode == 4
    assert "the users of the Hub, and their groups, are not known" in done.stderr
