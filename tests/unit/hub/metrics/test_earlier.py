"""The metrics of 2i2c's package: its names, its labels, and what its panels and alerts query."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jupyterhub_usage_quotas.hub.metrics.earlier import EarlierCounters, EarlierGauges
from jupyterhub_usage_quotas.hub.metrics.own import MeterMetrics
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.quotas.decide import Outcome
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from tests.support.standing import rows_of
from tests.unit.hub.metrics.test_usage import rule, session, standings_of, users

GIB = 2**30
NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
# As its exporter names them, with the labels that it gives them (metrics.py of 0.1.4 and 0.2.1).
USAGE, LIMIT = (
    "jupyterhub_memory_usage_byte_hours_total",
    "jupyterhub_memory_limit_byte_hours_total",
)
CPU_USAGE, CPU_LIMIT = (
    "jupyterhub_cpu_usage_cpu_hours_total",
    "jupyterhub_cpu_limit_cpu_hours_total",
)
LABELS = {"namespace", "policy_group", "username", "window", "value", "unit"}


def scraped(*collectors: object) -> dict[str, list[tuple[dict[str, str], float]]]:
    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def gauges_of(*rules: dict, subjects: list[Subject], used: float = 2.0):
    _, snapshot = await standings_of(
        rules, {"ada": [session(5, 2, memory=used * GIB, cpu=1.5)]}, subjects
    )
    return EarlierGauges(lambda: rows_of(snapshot), "prod")


async def test_usage_and_limits_have_its_names_labels_and_values():
    found = scraped(
        await gauges_of(
            rule("a", "5000G", 30, scope={"group": ["power"]}),
            rule("b", "8 CPU-hours", 7, resource="cpu", scope={"group": ["power", "other"]}),
            subjects=users("ada", groups=["power"]),
        )
    )
    assert set(found) == {USAGE, LIMIT, CPU_USAGE, CPU_LIMIT}
    common = {"namespace": "prod", "policy_group": "power", "username": "ada"}
    memory = common | {"window": "30", "unit": "GiB-hours"}
    cpu = common | {"window": "7", "unit": "CPU-hours"}
    assert found[USAGE] == [(memory | {"value": ""}, 4 * GIB)]
    assert found[LIMIT] == [(memory | {"value": "5000"}, 5000 * GIB)]
    assert found[CPU_USAGE] == [(cpu | {"value": ""}, 3)]
    assert found[CPU_LIMIT] == [(cpu | {"value": "8"}, 8)]
    assert {frozenset(labels) for rows in found.values() for labels, _ in rows} == {
        frozenset(LABELS)
    }


@pytest.mark.parametrize(
    ("groups", "scope", "group"),
    [
        ([], {"everyone": True}, "none"),
        (["a"], {"everyone": True}, "none"),
        (["a"], {"user": ["ada"]}, "none"),
        (["a"], {"group": ["a", "b"]}, "a"),
        (["b", "a", "c"], {"group": ["a", "b"]}, "{'a', 'b'}"),
        (["class-1"], {"group": [{"glob": "class-*"}]}, "class-1"),
    ],
)
async def test_the_group_is_the_users_own_or_none(groups, scope, group):
    made = await gauges_of(rule("x", "5G", scope=scope), subjects=users("ada", groups=groups))
    assert [labels["policy_group"] for labels, _ in scraped(made)[USAGE]] == [group]


async def test_a_limit_in_bytes_has_its_word_for_the_unit():
    made = await gauges_of(rule("x", 5 * GIB), subjects=users("ada"))
    ((labels, value),) = scraped(made)[LIMIT]
    assert (labels["unit"], labels["value"], value) == ("byte-hours", str(5 * GIB), 5 * GIB)


async def test_series_stay_the_same_while_usage_grows():
    """A value in a label would be a new series at every change."""
    series = {
        frozenset((name, *labels.items()) for name, rows in found.items() for labels, _ in rows)
        for found in [
            scraped(await gauges_of(rule("x", "5G"), subjects=users("ada"), used=used))
            for used in (1.0, 2.5)
        ]
    }
    assert len(series) == 1


async def test_with_them_those_by_group_are_not_there_twice():
    rules = [rule("x", "5G"), rule("y", "8 CPU-hours", resource="cpu")]
    _, snapshot = await standings_of(rules, {"ada": [session(5, 2, memory=GIB)]}, users("ada"))
    policies = parse_policies(rules)
    usual = UsageGauges(lambda: rows_of(snapshot), policies, "prod", by_group=False)
    found = scraped(usual, EarlierGauges(lambda: rows_of(snapshot), "prod"))
    assert [len(found[name]) for name in (USAGE, LIMIT, CPU_LIMIT)] == [1, 1, 1]
    assert "jupyterhub_cpu_limit_core_hours_total" not in found


async def test_what_is_not_known_is_no_number():
    _, snapshot = await standings_of([rule("x", "5G")], {}, users("ada"), alive=False)
    found = scraped(EarlierGauges(lambda: rows_of(snapshot), "prod"))
    assert math.isnan(found[USAGE][0][1])
    assert found[LIMIT][0][1] == 5 * GIB


def test_launches_that_failed_open_and_failed_requests_are_counted():
    registry = CollectorRegistry()
    counters = EarlierCounters(registry, "prod")
    for outcome in (Outcome.FAILOVER_OPEN, Outcome.ALLOWED, Outcome.DENIED, Outcome.FAILOVER_OPEN):
        decision = SimpleNamespace(outcome=outcome)
        counters.decided(SimpleNamespace(decision=decision, subject=Subject("ada")))
    meter = MeterMetrics(None, [counters.requested])
    for outcome in ("success", "timeout", "cancelled", "unreachable"):
        meter.requested(outcome, 0.1)
    get = registry.get_sample_value
    labels = {"namespace": "prod", "username": "ada"}
    assert get("jupyterhub_usage_quotas_fail_open_total", labels) == 2
    assert get("jupyterhub_usage_quotas_prometheus_error_total") == 2
    assert get("jupyterhub_usage_quotas_hub_api_error_total") == 0
