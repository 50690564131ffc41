"""Severity, and verdicts in words: the same wherever they are shown."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.quotas.adjustments import Adjustment, Exemption
from jupyterhub_usage_quotas.quotas.decide import decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Reading, Stale, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request, Verdict
from jupyterhub_usage_quotas.status.text import (
    Severity,
    VerdictText,
    notice,
    severity,
    severity_of_share,
    used_share,
    verdict_for_log,
)

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOUR = 3600.0
AWAY, NOT_YET = Unknown("timeout", "no answer"), Unknown("not_read_yet", "")
FREE = (Exemption("p", NOW - timedelta(hours=1), NOW + timedelta(hours=1)),)


def used(hours: float) -> Fresh:
    end = NOW.timestamp() - HOUR
    return Fresh(Usage((Bucket(end - HOUR, end, hours * HOUR),) if hours else (), NOW))


def judged(
    reading: Reading,
    limit: str = "10 CPU-hours",
    adjustments: tuple[Adjustment, ...] = (),
    **more: object,
) -> Verdict:
    scope = {"everyone": True}
    entry = {"name": "p", "resource": "cpu", "limit": limit, "window": 7, "scope": scope}
    policies = parse_policies([entry | more])
    request = Request(Subject("ada"))
    (verdict,) = decide(policies, {"cpu": reading}, request, NOW, adjustments=adjustments).verdicts
    return verdict


@pytest.mark.parametrize(
    ("verdict", "ends_in", "found"),
    [
        (judged(used(0)), None, "ok"),
        (judged(used(7.9)), None, "ok"),
        (judged(used(8)), None, "low"),
        (judged(used(9.99)), None, "low"),
        (judged(used(10)), None, "exhausted"),
        (judged(used(0), "0 CPU-hours"), None, "exhausted"),
        # What only warns is as used up as any.
        (judged(used(11), when_exhausted="warn"), None, "exhausted"),
        # With the servers that run: within a day is soon.
        (judged(used(1)), timedelta(hours=24), "low"),
        (judged(used(1)), timedelta(hours=24, minutes=1), "ok"),
        (judged(used(10)), timedelta(0), "exhausted"),
        (judged(AWAY), None, "unknown"),
        (judged(Stale(used(9).usage, "stale", "late")), None, "unknown"),
        # Without a limit there is nothing to know.
        (judged(used(99), adjustments=FREE), None, "ok"),
        (judged(AWAY, adjustments=FREE), None, "ok"),
    ],
)
def test_severity(verdict, ends_in, found):
    ends = None if ends_in is None else NOW + ends_in
    assert severity(verdict, ends, NOW) == found


@pytest.mark.parametrize(
    ("share", "found"), [(None, "ok"), (0, "ok"), (0.79, "ok"), (0.8, "low"), (1, "exhausted")]
)
def test_severity_of_a_share(share, found):
    assert severity_of_share(share) == found


def test_the_worst_of_several():
    ok, low, unknown, exhausted = map(Severity, ("ok", "low", "unknown", "exhausted"))
    assert Severity.worst([]) is ok
    assert Severity.worst([ok, low]) is low
    assert Severity.worst([low, unknown, ok]) is unknown
    assert Severity.worst([unknown, exhausted, low]) is exhausted


def test_there_are_four_and_each_has_a_name():
    assert {one.value: one.label for one in Severity} == {
        "exhausted": "Used up",
        "unknown": "Not known",
        "low": "Nearly used up",
        "ok": "OK",
    }


FREE_USED, FREE_AWAY = judged(used(2), adjustments=FREE), judged(AWAY, adjustments=FREE)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (judged(used(3)), ("3 CPU-hours", "10 CPU-hours", "7 CPU-hours", "3 of 10 CPU-hours")),
        (judged(used(12)), ("12 CPU-hours", "10 CPU-hours", "0 CPU-hours", "12 of 10 CPU-hours")),
        (judged(AWAY), ("not known", "10 CPU-hours", "not known", "not known")),
        (FREE_USED, ("2 CPU-hours", "unlimited", "unlimited", "2 CPU-hours")),
        (FREE_AWAY, ("not known", "unlimited", "unlimited", "not known")),
    ],
)
def test_amounts_in_words(verdict, words):
    text = VerdictText.of(verdict)
    assert (text.used, text.allowance, text.remaining, text.part) == words
    assert verdict_for_log(verdict) == f"'p' used {words[-1]}"


def test_a_limit_that_is_not_known_is_not_unlimited():
    exported = {"name": "p", "resource": "storage", "limit": "exported"}
    policies = parse_policies([exported | {"scope": {"everyone": True}}])
    (verdict,) = decide(policies, {"storage": AWAY}, Request(Subject("ada")), NOW).verdicts
    assert math.isnan(verdict.allowance)
    assert VerdictText.of(verdict).allowance == "not known"
    assert severity(verdict, None, NOW) == "unknown"


def test_the_share_that_is_used():
    assert used_share(judged(used(2.5))) == 0.25
    assert used_share(judged(used(0), "0 CPU-hours")) == 1
    assert used_share(judged(AWAY)) is None
    assert used_share(judged(used(2), adjustments=FREE)) is None


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ({}, ""),
        ({"gpu": True}, "Only servers with a GPU count."),
        ({"gpu": False}, "Only servers without a GPU count."),
        ({"profile": ["a", "b"]}, "Only servers with the profile a or b count."),
        ({"except_profile": ["a", "b"]}, "Only servers without the profile a or b count."),
        # either case is read as lower case; other sets of letters stay
        ({"profile": ["*[Gg][pP][Uu]*"]}, "Only servers with the profile *gpu* count."),
        (
            {"profile": ["[ab][gg][1-2][É-é]"]},
            "Only servers with the profile [ab][gg][1-2][É-é] count.",
        ),
        ({"name": ["", "x"]}, "Only servers with the name (none) or x count."),
        (
            {"gpu": True, "name": ["x"]},
            "Only servers with a GPU and with the name x count.",
        ),
    ],
)
def test_which_servers_count(servers, said):
    more = {"servers": servers} if servers else {}
    assert VerdictText.of(judged(used(1), **more)).servers == said


LATE = Stale(used(1).usage, "stale", "")


@pytest.mark.parametrize("may_start", [True, False])
@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (used(1), ""),
        (NOT_YET, "Usage is still being calculated. Check again in a few minutes."),
        (AWAY, "Usage is not known at the moment. Until it is, servers "),
        (LATE, "Usage data is out of date. Until it is refreshed, servers "),
    ],
)
def test_what_is_said_where_usage_is_not_known(reading, said, may_start):
    then = ("may start." if may_start else "are not started.") if said.endswith(" ") else ""
    assert notice(reading, may_start=may_start) == f"{said}{then}"
