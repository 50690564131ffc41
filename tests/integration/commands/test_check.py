"""The command line against a real Prometheus: its table, its JSON, its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jupyterhub import orm

from tests.support.adjusting import run
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.command_line import check
from tests.support.decided import LEDGER, VARIABLE, granted
from tests.support.faulty_proxy import faulty_proxy
from tests.support.limited import at_most
from tests.support.paths import ROOT
from tests.support.programs import Span, free_port
from tests.support.recorded import NOW

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

c = get_config()
setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.stale_after = 7200.0
c.UsageQuotaManager.policy = [
    {{"name": "day", "resource": "memory", "limit": "30 GiB-hours", "window": 1,
      "scope": {{"group": ["students"]}}}},
    {{"name": "half day", "resource": "memory", "limit": {{"value": 8192, "unit": "MiB-hours"}},
      "window": "12h", "scope": {{"group": ["students"]}}}},
    {{"name": "large", "resource": "cpu", "limit": "1 CPU-hours", "window": 7,
      "minimum_session": "1h", "scope": {{"group": ["students"]}}}},
]
c.UsageQuotaManager.failover_open = {failover_open}
"""


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - 24 * HOUR, NOW)
    # 20 GiB-hours: ten an hour, over two hours that ended an hour ago.
    yield from Pod(
        "over", NOW - 3 * HOUR + 60, NOW - HOUR - 60, "jupyter-over", "1", memory=10 * GIB
    ).spans
    yield from Pod(
        "within", NOW - 3 * HOUR + 60, NOW - HOUR - 60, "jupyter-within", "2", memory=GIB
    ).spans


@pytest.fixture(scope="module")
def config_file(serve_history: Callable[..., str], tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("check"), serve_history(history()))


def write(directory: Path, url: str, *, failover_open: bool = False) -> Path:
    path = directory / "jupyterhub_config.py"
    path.write_text(CONFIG.format(url=url, namespace=NAMESPACE, failover_open=failover_open))
    return path


def test_within_quota(config_file):
    done = check(config_file, "--user", "within", "--group", "students", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["allow_server_launch"] is True
    assert said["retry_time"] is None
    assert said["failover"] is None
    assert {verdict["policy"]: verdict["fits"] for verdict in said["verdicts"]} == {
        "day": True,
        "half day": True,
        "large": True,
    }


def test_what_the_configuration_prints_is_not_in_the_json(config_file, tmp_path):
    """That of Zero to JupyterHub prints what it loads."""
    path = tmp_path / "jupyterhub_config.py"
    path.write_text('print("Loading extra config: quotas")\n' + config_file.read_text())
    done = check(path, "--user", "within", "--group", "students", "--json")
    assert json.loads(done.stdout)["allow_server_launch"] is True
    assert "Loading extra config: quotas" in done.stderr


def test_over_quota_in_the_units_of_the_limits(config_file):
    done = check(config_file, "--user", "over", "--group", "students", "--json")
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert said["allow_server_launch"] is False
    half_day = next(verdict for verdict in said["verdicts"] if verdict["policy"] == "half day")
    assert half_day == half_day | {
        "resource": "memory",
        "window": "12 hours",
        "used": pytest.approx(20 * 1024),
        "limit": 8192,
        "remaining": pytest.approx(-12 * 1024),
        "unit": "MiB-hours",
        "fits": False,
    }
    # By hand: 12 of 20 GiB-hours must leave a window of twelve hours, at ten an hour.
    retry = datetime.fromisoformat(said["retry_time"]).timestamp()
    assert retry == pytest.approx(NOW - 3 * HOUR + 12 * HOUR + 1.2 * HOUR, abs=120)
    assert said["retry_time"] == half_day["retry_time"]
    assert said["retry_time"].endswith("Z")
    day = next(verdict for verdict in said["verdicts"] if verdict["policy"] == "day")
    assert (day["fits"], day["retry_time"]) == (True, None)


def test_the_table_says_the_same(config_file):
    done = check(config_file, "--user", "over", "--group", "students")
    assert done.returncode == 3
    assert "over (groups: students): a launch is DENIED until 20" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("half day"))
    assert "20,480 MiB-hours" in row
    assert "8,192 MiB-hours" in row
    assert " NO " in row


def test_a_server_that_asks_for_too_much_is_never_allowed(config_file):
    arguments = ("--user", "within", "--group", "students", "--server-cpu", "2")
    done = check(config_file, *arguments, "--server-memory", "8GiB", "--server-gpu", "1")
    assert done.returncode == 3
    assert "waiting will not help" in done.stdout
    said = json.loads(check(config_file, *arguments, "--json").stdout)
    large = next(verdict for verdict in said["verdicts"] if verdict["policy"] == "large")
    assert (large["need"], large["limit"], large["never"]) == (2, 1, True)
    assert said["retry_time"] is None


def test_whom_no_policy_covers(config_file):
    done = check(config_file, "--user", "over", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["verdicts"] == []
    assert "No policy limits this user" in check(config_file, "--user", "over").stdout


@pytest.mark.parametrize("failover_open", [True, False])
def test_unknown(tmp_path, failover_open):
    config = write(tmp_path, f"http://127.0.0.1:{free_port()}", failover_open=failover_open)
    done = check(config, "--user", "over", "--group", "students", "--json")
    assert done.returncode == 4
    said = json.loads(done.stdout)
    assert said["allow_server_launch"] is failover_open
    assert said["failover"] == "unreachable"
    assert [verdict["used"] for verdict in said["verdicts"]] == [None, None, None]
    table = check(config, "--user", "over", "--group", "students").stdout
    assert "usage is UNKNOWN" in table
    assert "Why usage is unknown: Prometheus: " in table


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("c = get_config()\nc.UsageQuotaManager.policy = [{}]\n", "policy[0].resource: is missing"),
        ("c = get_config()\nc.UsageViewer.enabledd = True\n", "did you mean enabled?"),
        ("c = get_config()\nc.UsageViewer.session_secret_key = 'short'\n", "easy to guess"),
        ("policy = [", "SyntaxError"),
        ("raise RuntimeError('the admin')", "RuntimeError: the admin"),
    ],
)
def test_a_wrong_configuration(tmp_path, config, says):
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(config)
    done = check(path, "--user", "x")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_that_is_not_there(tmp_path):
    done = check(tmp_path / "missing.py", "--user", "x")
    assert done.returncode == 2
    assert "no such file: got '" in done.stderr
    assert "missing.py" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--server-memory", "8 apples"], ["--server-cpu", "-1"], ["--server-gpu", "nan"]]
)
def test_wrong_arguments(config_file, arguments):
    done = check(config_file, "--user", "x", *arguments)
    assert done.returncode == 2
    assert arguments[1] in done.stderr
    assert "for example " in done.stderr or "an amount that a server can ask for" in done.stderr


def test_a_name_cannot_steer_the_terminal(config_file):
    done = check(config_file, "--user", "x\x1b[2Jy", "--group", "g\nh")
    assert "\x1b" not in done.stdout
    assert "x\\x1b[2Jy (groups: g\\nh)" in done.stdout


# --- what people decided -------------------------------------------------------------------------


def made_at(path: Path, created: datetime) -> str:
    """The URL of a Hub's database with the user "over", who was made then."""
    url = f"sqlite:///{path}"
    db = orm.new_session_factory(url)()
    db.add(orm.User(name="over", created=created.replace(tzinfo=None)))
    db.commit()
    db.close()
    return url


@pytest.mark.parametrize(
    ("user_made", "database", "counts"),
    [(0, True, True), (0, False, True), (3600, True, False)],
    ids=["the user", "no database to look at", "the next user of this name"],
)
def test_a_grant_in_the_ledger_counts(
    config_file, tmp_path, monkeypatch, user_made, database, counts
):
    """Denied by "half day", of which 12 GiB-hours are missing; granted 13."""
    joined = datetime(2026, 1, 1, 8, tzinfo=UTC)
    path = tmp_path / "jupyterhub_config.py"
    url = made_at(tmp_path / "hub.sqlite", joined + timedelta(seconds=user_made))
    path.write_text(
        config_file.read_text()
        + f"c.UsageQuotaManager.ledger_factory = {LEDGER!r}\n"
        + (f"c.JupyterHub.db_url = {url!r}\n" if database else "")
    )
    span = {"start": "2020-01-01T00:00:00+00:00", "until": "2999-01-01T00:00:00+00:00"}
    amount = 13 * GIB * HOUR
    grant = granted(
        policy="half day", **span, user="over", user_created=joined.isoformat(), amount=amount
    )
    monkeypatch.setenv(VARIABLE, grant)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = check(path, "--user", "over", "--group", "students", "--json")
    assert done.returncode == (0 if counts else 3), done.stderr
    half_day = next(
        one for one in json.loads(done.stdout)["verdicts"] if one["policy"] == "half day"
    )
    assert half_day["allowance"] == 8192 + (13 * 1024 if counts else 0)


def test_what_was_granted_on_the_command_line_counts_at_once(config_file, tmp_path):
    joined = datetime(2026, 1, 1, 8, tzinfo=UTC)
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(
        config_file.read_text()
        + f"c.JupyterHub.db_url = {made_at(tmp_path / 'hub.sqlite', joined)!r}\n"
        + f"c.UsageConfig.ledger_url = 'sqlite:///{tmp_path / 'ledger.sqlite'}'\n"
    )
    more = ("--policy", "half day", "--amount", "13 GiB-hours", "--until", "1d")
    given = run("grant", "--config", str(path), "--user", "over", *more, "--reason", "a deadline")
    assert given.code == 0, given.err
    checking = ("--user", "over", "--group", "students", "--json")
    (listed,) = json.loads(check(path, *checking).stdout)["adjustments"]
    assert (listed["id"], listed["kind"], listed["reason"]) == (1, "grant", "a deadline")
    assert check(path, *checking).returncode == 0
    run("void", "1", "--config", str(path), "--reason", "no deadline")
    assert check(path, *checking).returncode == 3


# --- what the Hub's database says -----------------------------------------------------------------

POOL = """
c.UsageQuotaManager.policy.append(
    {"name": "pool", "resource": "time", "limit": "100 hours", "window": 1, "share": "pooled",
     "scope": {"group": ["team"]}, "exempt": {"admin": True}}
)
"""


@pytest.fixture(scope="module")
def beside_a_hub(config_file, tmp_path_factory) -> Path:
    """The configuration where the Hub's database is."""
    directory = tmp_path_factory.mktemp("beside")
    url = f"sqlite:///{directory}/hub.sqlite"
    db = orm.new_session_factory(url)()
    over, within, root = (orm.User(name=one) for one in ("over", "within", "root"))
    root.admin = True
    db.add_all([over, within, root])
    db.add(orm.Group(name="students", users=[over]))
    db.add(orm.Group(name="team", users=[within, root]))
    db.commit()
    db.close()
    path = directory / "jupyterhub_config.py"
    path.write_text(config_file.read_text() + POOL + f"c.JupyterHub.db_url = {url!r}\n")
    return path


def test_groups_are_those_of_the_hub(beside_a_hub):
    done = check(beside_a_hub, "--user", "over", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (3, "")
    assert (said["groups"], said["in_hub"]) == (["students"], True)


def test_groups_that_are_passed_win(beside_a_hub):
    done = check(beside_a_hub, "--user", "over", "--group", "others", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["groups"], said["verdicts"]) == (0, ["others"], [])


def test_members_of_pools_are_those_of_the_hub(beside_a_hub):
    """Of the pool's members one ran a server, for two hours or so; an admin is exempt."""
    hours = {}
    for more in ((), ("--member", "over")):
        asked = ("--user", "within", "--group", "team", "--json")
        said = json.loads(check(beside_a_hub, *asked, *more).stdout)
        hours[more] = said["verdicts"][0]["used"]
    assert hours[()] == pytest.approx(2, abs=0.1)
    assert hours["--member", "over"] == pytest.approx(4, abs=0.2)
    said = json.loads(check(beside_a_hub, "--user", "root", "--json").stdout)
    assert said["verdicts"] == [], "the Hub has an admin of this name"


@pytest.mark.parametrize(
    ("user", "meant"), [("ovr", "did you mean 'over'?"), ("Over", "did you mean 'over'?")]
)
def test_no_such_user(beside_a_hub, user, meant):
    done = check(beside_a_hub, "--user", user, "--json")
    assert done.returncode == 0
    assert f"note: no such user: got {user!r}; expected a user of the Hub" in done.stderr
    assert meant in done.stderr
    assert json.loads(done.stdout)["in_hub"] is False


def test_no_such_user_and_none_alike(beside_a_hub):
    done = check(beside_a_hub, "--user", "\udc80", "--group", "students")
    assert "no such user: got '\\udc80'" in done.stderr
    assert "did you mean" not in done.stderr


def test_without_a_database_groups_must_be_passed(config_file):
    done = check(config_file, "--user", "over", "--json")
    assert "pass them with --group" in done.stderr
    assert json.loads(done.stdout)["in_hub"] is None
    assert check(config_file, "--user", "over", "--group", "students").stderr == ""


def test_which_policies_apply_and_why(beside_a_hub):
    table = check(beside_a_hub, "--user", "over").stdout
    assert "day applies: the user is in the group students" in table
    assert "pool does not apply: it covers the group team, and the user is not in it" in table
    said = json.loads(check(beside_a_hub, "--user", "over", "--json").stdout)
    assert {one["policy"]: (one["applies"], one["by"]) for one in said["policies"]} == {
        "day": (True, "group"),
        "half day": (True, "group"),
        "large": (True, "group"),
        "pool": (False, None),
    }


# --- stores that limit how long a time a query is about -------------------------------------------


def test_a_store_that_refuses_long_queries_is_read_in_pieces(serve_history, tmp_path):
    """The longest window is seven days: it says what it says of a store without a limit."""
    url = serve_history(history())
    asked = ("--user", "over", "--group", "students", "--server-cpu", "1", "--json")
    expected = json.loads(check(write(tmp_path, url), *asked).stdout)
    with faulty_proxy(url) as proxy:
        proxy.plan = at_most(2 * 24 * HOUR)
        done = check(write(tmp_path, proxy.url), *asked)
        refused = sum(one.refused for one in proxy.asked)
    assert refused, "the limit is below the longest window"
    said = json.loads(done.stdout)
    assert (said["outcome"], said["failover"]) == ("denied", None), done.stderr
    used = [[one["used"] for one in each["verdicts"]] for each in (said, expected)]
    assert used[0] == pytest.approx(used[1], rel=0.01)
