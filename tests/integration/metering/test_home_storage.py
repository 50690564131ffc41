"""Home storage in a real Prometheus: both exporters, one, none, stale; whose a directory is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.metering.client.promql import one_of
from jupyterhub_usage_quotas.metering.kubespawner.homes import home_names
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.base import GaugeSource
from jupyterhub_usage_quotas.metering.sources.home_storage import home_storage
from jupyterhub_usage_quotas.quotas.decide import Outcome
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Fresh, Stale, Unknown
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.quotas.windows.gauge import GaugeReading
from tests.support.cluster import GIB, HOUR, NAMESPACE, hub_pod
from tests.support.command_line import check
from tests.support.decisions import decided_by
from tests.support.homes import told
from tests.support.programs import Span, free_port
from tests.support.recorded import NOW, instant, meter

STALE_AFTER = timedelta(minutes=10)
AT = instant(NOW)
HOSTILE = (
    '"} or vector(1) #',
    "back\\slash",
    "{glob:*}",
    ".*",
    "two\nlines",
    "naïve-ʻokina",
    "x" * 300,
    "a|b",
)


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - 2 * HOUR, NOW)
    yield from told("over", 12, 10)
    yield from told("within", 4, 10)
    yield from told("exactly", 10, 10)
    yield from told("endless", 500, 0)
    # Told of by both; they do not look at the same moment.
    yield from told("both", 6, 10)
    yield from told("both", 5, exporter="dirsize")
    yield from told("sized", 7, exporter="dirsize")
    # Names that begin alike, and what another user's name is turned into.
    yield from told("al", 1, 10)
    yield from told("alice", 11, 10)
    yield from told("alice-2db", 3, 10)
    # Somebody else's, in another namespace, and of an exporter outside of Kubernetes.
    yield from told("within", 99, 1, namespace="other-hub")
    yield from told("outside", 2, 10, namespace=None)
    # An exporter that ended 20 minutes ago, beside one that goes on.
    yield from told("gone", 9, 10, exporter="second", until=NOW - 1200)
    yield from told("long-gone", 9, 10, exporter="second", until=NOW - 5400)
    for number, name in enumerate(HOSTILE):
        yield from told(home_names("{unescaped_username}")(name), number + 1, 10)


@pytest.fixture(scope="module")
def url(serve_history: Callable[..., str]) -> str:
    return serve_history(history())


def storage(scheme: str = "escape", namespace: str = one_of("namespace", {NAMESPACE, ""})):
    return home_storage(namespace, home_names(scheme))


def meter_of(url: str, homes: GaugeSource | None = None, **more) -> Meter:
    """A meter of homes alone; `more` are its options."""
    made = meter(url, stale_after=STALE_AFTER)
    options = {"clock": lambda: AT} | more
    return Meter(made._prometheus, [], made.timing, gauges=[homes or storage()], **options)


async def reading(url: str, user: str, homes: GaugeSource | None = None, kept: bool = False):
    """What is known of a user's home, asked for, or from a meter that is kept."""
    asked = meter_of(url, homes)
    if kept:
        await asked.refresh(timedelta(0))
    found = await asked.read([user], {"storage"}, timedelta(0), AT)
    if kept:
        assert found == asked.peek([user], {"storage"}, timedelta(0), AT)
    await asked.aclose()
    return found[user]["storage"]


async def level(url: str, user: str, *more) -> GaugeReading:
    found = await reading(url, user, *more)
    assert isinstance(found, Fresh), found
    return found.usage


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("user", "gib", "limit"),
    [
        ("over", 12, 10),
        ("within", 4, 10),
        ("endless", 500, math.inf),
        ("both", 6, 10),
        ("sized", 7, None),
        ("al", 1, 10),
        ("alice", 11, 10),
        ("outside", 2, 10),
    ],
)
async def test_what_is_in_a_home(url, user, gib, limit, kept):
    found = await reading(url, user, None, kept)
    assert isinstance(found, Fresh)
    assert found.usage.amount == gib * GIB
    expected = limit if limit in (None, math.inf) else limit * GIB
    assert found.usage.limit == expected
    assert found.usage.there
    assert found.usage.covered_until == AT
    assert found.usage.buckets == ()


@pytest.mark.parametrize("user", ["nobody", "a", "ali", "alic", "over2", ""])
async def test_whoever_has_no_home_yet_has_nothing_in_it(url, user):
    found = await level(url, user)
    assert (found.amount, found.there, found.limit) == (0, False, None)
    assert found.covered_until == AT


async def test_a_directory_is_its_users_by_the_scheme_alone(url):
    # "alice-b" is "alice-2db" when escaped; when it is safe, that is the user "alice-2db".
    assert (await level(url, "alice-b", storage("escape"))).amount == 3 * GIB
    assert not (await level(url, "alice-b", storage("safe"))).there
    assert (await level(url, "alice-2db", storage("safe"))).amount == 3 * GIB
    assert not (await level(url, "alice-2db", storage("escape"))).there


@pytest.mark.parametrize("number", range(len(HOSTILE)))
async def test_no_name_of_a_directory_or_user_means_anything(url, number):
    plain = storage("{unescaped_username}")
    assert (await level(url, HOSTILE[number], plain)).amount == (number + 1) * GIB
    assert not (await level(url, HOSTILE[number] + "x", plain)).there


async def test_a_name_that_no_label_can_hold(url):
    found = await reading(url, "\ud800")
    assert isinstance(found, Unknown)
    assert found.reason == "bad_username"


async def test_of_other_namespaces_nothing_counts_unless_it_is_asked_for(url):
    other = storage("escape", 'namespace="other-hub"')
    assert (await level(url, "within", other)).amount == 99 * GIB
    assert not (await level(url, "over", other)).there
    assert (await level(url, "within", storage("escape", ""))).amount == 99 * GIB


@pytest.mark.parametrize("kept", [False, True])
async def test_a_home_of_an_exporter_that_ended_is_stale_not_empty(url, kept):
    found = await reading(url, "gone", None, kept)
    assert isinstance(found, Stale)
    assert found.reason == "stale"
    assert found.usage.amount == 9 * GIB
    assert abs(found.usage.covered_until.timestamp() - (NOW - 1200)) <= 30


async def test_after_an_hour_it_is_not_there_any_more(url):
    assert not (await level(url, "long-gone")).there


async def test_without_an_exporter_nothing_is_known(serve_history):
    url = serve_history(hub_pod(NOW - HOUR, NOW))
    for user in ("over", "nobody"):
        found = await reading(url, user)
        assert isinstance(found, Unknown)
        assert found.reason == "not_scraped"
        assert "dirsize_total_size_bytes has no series where namespace=~" in found.detail


async def test_an_exporter_that_is_not_scraped_any_more(serve_history):
    url = serve_history(told("over", 12, 10, until=NOW - 1500))
    for user, there in [("over", True), ("nobody", False)]:
        found = await reading(url, user)
        assert isinstance(found, Stale)
        assert found.usage.there is there


async def test_what_was_known_is_stale_when_prometheus_fails(url):
    now = [AT]
    made = meter_of(url, clock=lambda: now[0])
    await made.refresh(timedelta(0))
    gone = meter_of(f"http://127.0.0.1:{free_port()}")
    made.gauges[0]._prometheus = gone._prometheus
    now[0] = AT + timedelta(minutes=5)
    await made.refresh(timedelta(0))
    of_over = made.peek(["over"], {"storage"}, timedelta(0), now[0])["over"]["storage"]
    assert isinstance(of_over, Fresh)
    late = AT + timedelta(minutes=11)
    of_over = made.peek(["over"], {"storage"}, timedelta(0), late)["over"]["storage"]
    assert isinstance(of_over, Stale)
    assert (of_over.reason, of_over.usage.amount) == ("unreachable", 12 * GIB)


async def test_everybody_is_read_by_one_query_and_nobody_while_it_is_not_kept(url):
    asked = []
    made = meter_of(url)
    query = made._prometheus.query

    async def counted(expression, at):
        asked.append(expression)
        return await query(expression, at)

    made._prometheus.query = counted
    await made.refresh(timedelta(0))
    first = len(asked)
    assert first <= 2
    names = [f"user-{number}" for number in range(1000)]
    assert len(await made.read(names, {"storage"}, timedelta(0), AT)) == 1000
    assert len(asked) == first
    idle = meter_of(url, kept=())
    idle._prometheus.query = counted
    await idle.refresh(timedelta(0))
    assert len(asked) == first


async def test_homes_that_match_no_user_are_found(url):
    made = meter_of(url)
    (homes,) = made.gauges
    assert homes.unmatched(["over"]) == set()  # nothing is known yet
    await made.refresh(timedelta(0))
    known = {"over", "al", "alice", "alice-b", "within", "gone", "\ud800"}
    left = homes.unmatched(known)
    assert {"exactly", "endless", "both", "sized", "outside"} <= left
    assert not left & {"over", "al", "alice", "alice-2db", "within", "gone", "long-gone"}


# --- decisions ------------------------------------------------------------------------------------


def manager(url: str, *policies: dict, **options) -> UsageQuotaManager:
    config = Config()
    config.UsageConfig.prometheus_url = url
    config.UsageConfig.hub_namespace = NAMESPACE
    config.UsageConfig.stale_after = STALE_AFTER.total_seconds()
    config.UsageConfig.update(options.pop("common", {}))
    everyone = {"resource": "storage", "scope": {"everyone": True}}
    config.UsageQuotaManager.policy = [everyone | one for one in policies]
    config.UsageQuotaManager.update(options)
    return UsageQuotaManager(config=config)


async def decided(url: str, user: str, *policies: dict, **options):
    made = manager(url, *policies, **options)
    try:
        return await decided_by(made, Request(Subject(user)), AT)
    finally:
        await made.aclose()


@pytest.mark.parametrize(
    ("user", "limit", "outcome"),
    [
        ("over", "10 GiB", Outcome.DENIED),
        ("over", "exported", Outcome.DENIED),
        ("over", "20 GiB", Outcome.ALLOWED),
        ("exactly", "exported", Outcome.DENIED),
        ("within", "exported", Outcome.ALLOWED),
        ("endless", "exported", Outcome.ALLOWED),
        ("endless", "10 GiB", Outcome.DENIED),
        ("nobody", "exported", Outcome.ALLOWED),
        ("nobody", "10 GiB", Outcome.ALLOWED),
        ("sized", "6 GiB", Outcome.DENIED),
        ("sized", "exported", Outcome.FAILOVER_CLOSED),
        ("gone", "exported", Outcome.FAILOVER_CLOSED),
        ("gone", "5 GiB", Outcome.FAILOVER_CLOSED),
    ],
)
async def test_decisions(url, user, limit, outcome):
    decision = await decided(url, user, {"limit": limit}, failover_open=False)
    assert decision.outcome is outcome
    if outcome is Outcome.FAILOVER_CLOSED:
        again = await decided(url, user, {"limit": limit}, failover_open=True)
        assert again.outcome is Outcome.FAILOVER_OPEN


async def test_a_warning_denies_nothing(url):
    decision = await decided(url, "over", {"limit": "exported", "when_exhausted": "warn"})
    assert decision.outcome is Outcome.ALLOWED
    (verdict,) = decision.warnings
    assert (verdict.used, verdict.allowance, verdict.to_free) == (12 * GIB, 10 * GIB, 2 * GIB)


async def test_with_a_pool_of_everyone_a_home_is_still_its_users(url):
    pool = {"resource": "memory", "limit": "9 GiB-hours", "window": 1, "share": "pooled"}
    for user, outcome in [("over", Outcome.DENIED), ("never-ran", Outcome.ALLOWED)]:
        made = manager(url, {"limit": "exported"}, pool)
        policy = made.policies.policies[1]
        decision = await decided_by(made, Request(Subject(user)), AT, {policy.name: None})
        await made.aclose()
        assert decision.outcome is outcome


CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

c = get_config()
setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.stale_after = 7200.0
c.UsageQuotaManager.policy = {policy!r}
"""
POLICY = [
    {"name": "homes", "resource": "storage", "limit": "exported", "scope": {"everyone": True}}
]


@pytest.fixture
def config_of(tmp_path, url):
    def write(policy, more: str = ""):
        path = tmp_path / "jupyterhub_config.py"
        path.write_text(CONFIG.format(url=url, namespace=NAMESPACE, policy=policy) + more)
        return path

    return write


def test_check_denies_and_says_what_helps(config_of):
    path = config_of(POLICY)
    done = check(path, "--user", "over")
    assert done.returncode == 3, done.stderr
    assert "a launch is DENIED until at least 2.01 GiB of home storage is freed" in done.stdout
    assert "never" not in done.stdout
    assert "waiting" not in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("homes "))
    assert row.split()[1:3] == ["storage", "now"]
    assert "12 GiB" in row
    assert "Home storage: 12 GiB of 10 GiB used, measured at 20" in done.stdout


def test_check_in_json(config_of):
    said = json.loads(check(config_of(POLICY), "--user", "over", "--json").stdout)
    (verdict,) = said["verdicts"]
    assert verdict == verdict | {
        "resource": "storage",
        "window": "now",
        "used": 12,
        "limit": 10,
        "allowance": 10,
        "unit": "GiB",
        "never": False,
        "to_free": 2,
        "retry_time": None,
        "fits": False,
        "coverage": None,
    }
    home = said["home_storage"]
    assert home == home | {
        "state": "fresh",
        "reason": None,
        "used_bytes": 12 * GIB,
        "limit_bytes": 10 * GIB,
        "there": True,
    }


def test_check_shows_homes_without_a_policy(config_of):
    path = config_of([])
    done = check(path, "--user", "endless")
    assert done.returncode == 0
    assert "No policy limits this user." in done.stdout
    assert "Home storage: 500 GiB used, measured at 20" in done.stdout
    said = json.loads(check(path, "--user", "nobody", "--json").stdout)
    assert (said["home_storage"]["there"], said["home_storage"]["used_bytes"]) == (False, 0)
    assert "Home storage" not in check(path, "--user", "nobody").stdout


def test_check_says_nothing_where_it_is_switched_off(config_of):
    path = config_of([], "c.UsageConfig.home_storage = False\n")
    assert json.loads(check(path, "--user", "over", "--json").stdout)["home_storage"] is None
    refused = check(config_of(POLICY, "c.UsageConfig.home_storage = False\n"), "--user", "over")
    assert refused.returncode == 2
    assert "home_storage: is False, but a policy limits storage" in refused.stderr
