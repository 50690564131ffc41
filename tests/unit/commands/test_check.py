"""What `check --json` prints: every key of it, and each of them explained."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.commands.adjusted import adjustment_lines
from jupyterhub_usage_quotas.commands.check import CheckReport, check_report
from jupyterhub_usage_quotas.config.quotas import Enforcement
from jupyterhub_usage_quotas.ledger.reports import adjustment_reports
from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.decide import decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.serialize import report_gauges
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Fresh, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.quotas.windows.gauge import GaugeReading
from jupyterhub_usage_quotas.services.web.openapi import schemas

NOW = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)
POLICY = {"name": "day", "resource": "cpu", "limit": "4 CPU-hours", "window": 1}
KEYS = {
    *("user", "groups", "allow_server_launch", "outcome", "retry_time", "failover", "verdicts"),
    *("failover_detail", "lasts_seconds", "enforcement", "gauges", "home_storage"),
    *("in_hub", "policies", "adjustments"),
}
KEYS_OF_ADJUSTMENTS = {
    *("id", "kind", "policy", "user", "amount", "unit", "start", "until", "actor", "reason")
}
KEYS_OF_POLICIES = {"policy", "applies", "by", "why"}
KEYS_OF_VERDICTS = {
    *("policy", "resource", "window", "used", "limit", "remaining", "unit", "allowance", "applies"),
    *("when_exhausted", "shared", "need", "fits", "never", "to_free", "retry_time"),
    *("covered_until", "coverage"),
}
KEYS_OF_HOMES = {"state", "reason", "there", "used_bytes", "limit_bytes", "measured_at"}


def printed(reading: Any, user: str = "ada", **more: Any) -> dict[str, Any]:
    policies = parse_policies([POLICY | {"scope": {"everyone": True}}], failover_open=False)
    decision = decide(policies, {"cpu": reading}, Request(Subject(user)), NOW)
    given = {"lasts": None, "gauges": {}, "enforcement": Enforcement.enforce} | more
    text = json.dumps(check_report(decision, **given).model_dump(), allow_nan=False)
    found: dict[str, Any] = json.loads(text)
    return found


def test_all_that_is_said_of_a_launch():
    home = Fresh(GaugeReading((), NOW, amount=3.0, limit=4.0))
    gauges = report_gauges({"storage": home}, RESOURCES)
    said = printed(Fresh(Usage((), NOW)), lasts=timedelta(hours=4), gauges=gauges)
    assert (said["lasts_seconds"], said["enforcement"]) == (14400, "enforce")
    assert (said["failover"], said["failover_detail"]) == (None, None)
    assert said["home_storage"] == {
        "state": "fresh",
        "reason": None,
        "there": True,
        "used_bytes": 3,
        "limit_bytes": 4,
        "measured_at": "2026-11-24T10:05:00Z",
    }
    assert said["gauges"]["storage"] == {
        "state": "fresh",
        "reason": None,
        "display_name": "Home storage",
        "there": True,
        "used": 3,
        "limit": 4,
        "unit": "B",
        "measured_at": "2026-11-24T10:05:00Z",
    }
    assert set(said) == KEYS
    assert set(said["verdicts"][0]) == KEYS_OF_VERDICTS


def test_what_only_an_admin_may_read_is_said():
    said = printed(Unknown("timeout", "http://10.0.0.7: no answer"), enforcement=Enforcement.off)
    assert (said["failover"], said["failover_detail"]) == ("timeout", "http://10.0.0.7: no answer")
    assert (said["lasts_seconds"], said["home_storage"], said["enforcement"]) == (None, None, "off")


def test_a_name_that_is_not_valid_unicode_can_be_printed():
    assert printed(Unknown("bad_username", ""), user="\udc80")["user"] == "\udc80"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("CheckReport", KEYS),
        ("VerdictReport", KEYS_OF_VERDICTS),
        ("HomeStorage", KEYS_OF_HOMES),
        ("PolicyReport", KEYS_OF_POLICIES),
        ("AdjustmentReport", KEYS_OF_ADJUSTMENTS),
    ],
)
def test_every_key_is_explained_where_the_reference_is_made_from(name, keys):
    described = schemas([CheckReport])[name]["properties"]
    assert set(described) == keys
    assert [key for key, one in described.items() if not one.get("description")] == []


def test_every_adjustment_that_is_not_over_is_told_in_the_unit_of_its_policy():
    policies = parse_policies([POLICY | {"scope": {"everyone": True}}])
    week = timedelta(days=7)
    common = {"actor": "tutor", "reason": "late\nwork\x1b[31m"}
    reports = adjustment_reports(
        [
            Exemption("day", NOW, NOW + week, id=3, **common),
            Grant("day", NOW - week, NOW + week, "ada", id=1, amount=7200.0, **common),
            Override("gone", NOW + week, NOW + 2 * week, "ada", id=2, limit=5.0, **common),
            Grant("day", NOW - 2 * week, NOW, "ada", id=4, amount=1.0, **common),
        ],
        policies,
        NOW,
    )
    told = [(one.id, one.kind, one.user, one.amount, one.unit) for one in reports]
    assert told == [
        (1, "grant", "ada", 2, "CPU-hours"),
        (2, "override", "ada", 5, None),
        (3, "exemption", None, None, "CPU-hours"),
    ]
    assert list(adjustment_lines(reports)) == [
        "adjustment 1: grant of 2 CPU-hours for ada, policy day, from 2026-11-17 10:05 to"
        " 2026-12-01 10:05 UTC, by tutor: late\\nwork\\x1b[31m",
        "adjustment 2: override of 5 base units for ada, policy gone, from 2026-12-01 10:05 to"
        " 2026-12-08 10:05 UTC, by tutor: late\\nwork\\x1b[31m",
        "adjustment 3: exemption for everyone, policy day, from 2026-11-24 10:05 to"
        " 2026-12-01 10:05 UTC, by tutor: late\\nwork\\x1b[31m",
    ]
