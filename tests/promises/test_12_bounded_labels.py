"""Promise 12: labels of metrics are bounded, and a scrape never sees a half-written state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jupyterhub_usage_quotas import __version__, conventions
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from tests.support.cluster import NAMESPACE
from tests.support.hub import Hub
from tests.support.made_up import MadeUp, Session
from tests.support.recorded_hub import OVER, WITHIN
from tests.support.standing import rows_of
from tests.support.visitor import Visitor

BY_GROUP = {name for names in conventions.BY_GROUP_METRICS.values() for name in names}
USERS = {"admin", "broken", "newcomer", "", *OVER, *WITHIN}


def one_of(*values: str) -> Callable[[str], bool]:
    return values.__contains__


def like(pattern: str) -> Callable[[str], bool]:
    return lambda value: bool(re.fullmatch(pattern, value))


BOUNDED: dict[str, Callable[[str], bool]] = {
    # Words of ours, which the code lists.
    "outcome": like("[a-z]+(_[a-z]+)*"),
    "reason": like("[a-z]+(_[a-z]+)*"),
    "kind": one_of(
        *("grant", "override", "exemption", "void"),  # of the ledger's entries
        *("warning", "grace", "stopped", "continues", "summary"),  # of notices
        "terms",
    ),
    "enforcement": one_of("enforce", "shadow"),
    "source": one_of("kube-state-metrics"),
    "resource": one_of("memory", "cpu", "gpu", "time"),
    "gpu": one_of("true", "false"),
    "exported": one_of("true", "false"),
    # What there is in this Hub and its configuration.
    "namespace": one_of(NAMESPACE),
    "policy": one_of("memory per 1 day for everyone", "team budget"),
    "policy_group": one_of("", "team-*"),
    "window": one_of("1"),
    "username": one_of(*USERS),
    "servername": one_of("", "second"),
    "profile": one_of(""),
    "profile_name": one_of(""),
    "version": one_of(__version__),
    "documentation_url": one_of(""),
    # Of a histogram.
    "le": like(r"\d+\.\d+|\+Inf"),
}
"""What each label may say. Neither a value nor an instant nor a set is among it."""


def ours(hub: Hub) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Our samples on a Hub's metrics endpoint, by name and labels."""
    answer = httpx.get(f"{hub.url}/hub/metrics", trust_env=False, timeout=30)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if family.name.startswith("jupyterhub_usage_quotas_") or family.name in BY_GROUP
    }


def test_labels_of_a_real_hub_say_nothing_but_what_there_is(hub: Hub):
    """After launches, denials and a server that ran. Series come with users and policies, and do
    not become others by what is used.
    """
    Visitor(hub.url, "over").start()
    within = Visitor(hub.url, "within")
    within.start()
    within.wait_until_ready()
    while_it_runs = ours(hub)
    within.stop()
    samples = while_it_runs | ours(hub)
    assert len(samples) > 40
    for name, labels in samples:
        for label, value in labels:
            assert BOUNDED[label](value), f'{name}{{{label}="{value}"}}'
    figures = (conventions.USED, conventions.LIMIT, conventions.REMAINING)
    of_users = {key for key in while_it_runs if key[0] in figures}
    assert of_users
    assert of_users <= ours(hub).keys()


async def test_a_scrape_amid_a_refresh_sees_all_of_one_state():
    """Whichever user is being judged: the whole of what was before, and then the whole of what is
    now.
    """
    now = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
    start = now.timestamp() - 5 * 3600
    names = [f"user-{number}" for number in range(20)]
    source = MadeUp({name: [Session(start, start + 7200, {"time": 1.0})] for name in names})
    scope = {"everyone": True}
    policies = parse_policies(
        [{"name": "hours", "resource": "time", "limit": "9 hours", "window": "5h", "scope": scope}]
    )
    meter = Meter(PrometheusClient("http://nowhere.test"), [source], clock=lambda: now)
    await meter.refresh(policies.reach)
    while await meter.extend():
        pass
    snapshot = StatusSnapshot(policies, meter, NO_LEDGER)
    registry = CollectorRegistry()
    registry.register(UsageGauges(lambda: rows_of(snapshot), policies, NAMESPACE))
    await snapshot.rebuild([Subject(name) for name in names], {}, now)
    before = generate_latest(registry)
    assert before.count(b'username="user-') == 3 * len(names)

    def scraped_meanwhile() -> Iterator[Subject]:
        for name in names:
            assert generate_latest(registry) == before
            yield Subject(name)

    # An hour later some of it has left the window.
    await snapshot.rebuild(scraped_meanwhile(), {}, now + timedelta(hours=1))
    after = generate_latest(registry)
    assert after.count(b"\n") == before.count(b"\n")
    assert after != before
