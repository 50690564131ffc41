"""Everybody's usage on a real Hub's metrics endpoint: all users, at every scrape."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.cluster import GIB, NAMESPACE
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.recorded_hub import OVER, WITHIN, Recorded
from tests.support.visitor import Visitor

RECORDED = {user: used * GIB for user, used in (OVER | WITHIN).items()}
HOSTILE = ['a"b\\c', 'x{y="z"} 1', "ünïcode", "# help"]
USERS = ["admin", *RECORDED, *HOSTILE, *(f"user-{number}" for number in range(60))]
TEAM = ["mate", "user-1", "user-2"]

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.stale_after = 7200.0
c.UsageConfig.refresh_interval = 2.0
c.UsageQuotaManager.policy = [
    {{"name": "all", "resource": "memory", "limit": "8 GiB-hours", "window": 1,
      "scope": {{"everyone": True}}}},
    {{"name": "team", "resource": "cpu", "limit": "5 CPU-hours", "window": 7,
      "scope": {{"group": ["team"]}}}},
    {{"name": "pool", "resource": "memory", "limit": "100 GiB-hours", "window": 1,
      "scope": {{"everyone": True}}, "share": "pooled"}},
]
c.UsageQuotaManager.scope_backup_strategy = {{"intersection": "min"}}
c.Authenticator.allowed_users = set({users!r})
c.JupyterHub.load_groups = {{"team": {{"users": {team!r}}}}}
"""

USED, REMAINING = "jupyterhub_usage_quotas_used", "jupyterhub_usage_quotas_remaining"
LIMIT = "jupyterhub_usage_quotas_limit"
BY_GROUP = "jupyterhub_memory_usage_byte_hours_total"


@pytest.fixture(scope="module", params=PYTHONS)
def hub(request, recorded: Recorded, tmp_path_factory) -> Iterator[Hub]:
    version = request.param
    config = CONFIG.format(url=recorded.url, namespace=NAMESPACE, users=USERS, team=TEAM)
    with running_hub(tmp_path_factory.mktemp(f"gauges{version}"), version, config) as running:
        yield running


def scrape(hub: Hub) -> dict[tuple[str, str, str], float]:
    """What is exported, by metric, username and policy (of those by group: its groups)."""
    answer = httpx.get(f"{hub.url}/hub/metrics", trust_env=False, timeout=30)
    assert answer.is_success
    found: dict[tuple[str, str, str], float] = {}
    for family in text_string_to_metric_families(answer.text):
        if family.name in (USED, REMAINING, LIMIT, BY_GROUP):
            for sample in family.samples:
                assert sample.labels["namespace"] == NAMESPACE
                policy = sample.labels.get("policy", sample.labels.get("policy_group", "?"))
                key = (sample.name, sample.labels["username"], policy)
                assert key not in found
                found[key] = sample.value
    return found


def everybody() -> set[tuple[str, str, str]]:
    """The series that there must be."""
    return {
        *((name, user, "all") for name in (USED, LIMIT, REMAINING) for user in USERS),
        *((name, user, "team") for name in (USED, LIMIT, REMAINING) for user in TEAM),
        *((name, "", "pool") for name in (USED, LIMIT, REMAINING)),
        *((BY_GROUP, user, "") for user in USERS),
    }


def test_all_users_are_in_every_scrape_from_the_first_on(hub: Hub):
    """Through some refreshes, of which each makes all of it anew."""
    refreshes = "jupyterhub_usage_quotas_refreshes_total"
    scrapes = 0
    while scrapes < 20 or hub.metric(refreshes, outcome="success") < 6:
        assert set(scrape(hub)) == everybody()
        scrapes += 1


def test_values_are_what_was_recorded_and_zero_for_who_used_nothing(hub: Hub):
    Visitor.wait_until(lambda: not any(map(math.isnan, scrape(hub).values())))
    found = scrape(hub)
    for user in USERS:
        used = RECORDED.get(user, 0.0)
        assert found[USED, user, "all"] == pytest.approx(used, rel=1e-9)
        assert found[BY_GROUP, user, ""] == found[USED, user, "all"]
        assert found[LIMIT, user, "all"] == 8 * GIB
        assert found[REMAINING, user, "all"] == pytest.approx(8 * GIB - used, rel=1e-9)
    assert found[USED, "", "pool"] == pytest.approx(sum(RECORDED.values()), rel=1e-9)


def test_who_logs_in_for_the_first_time_is_there_soon_and_nobody_is_lost_meanwhile(hub: Hub):
    before = set(scrape(hub))
    Visitor(hub.url, "new-here")

    def there() -> bool:
        found = set(scrape(hub))
        assert before <= found
        return (USED, "new-here", "all") in found

    Visitor.wait_until(there)


@pytest.mark.parametrize("version", PYTHONS)
def test_while_prometheus_does_not_answer_everybody_is_there_and_unknown(version, tmp_path):
    """A server that takes connections and says nothing; the Hub has just been started."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        config = CONFIG.format(url=url, namespace=NAMESPACE, users=USERS, team=TEAM)
        with running_hub(tmp_path, version, config) as hub:
            found = scrape(hub)
            assert hub.metric("jupyterhub_usage_quotas_refreshes_total") == 0
    assert set(found) == everybody()
    for (name, _, _), value in found.items():
        assert math.isnan(value) == (name != LIMIT)
