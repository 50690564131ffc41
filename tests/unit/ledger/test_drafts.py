"""Adjustments in words: what each says, in base units and instants, and what is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import InvalidAdjustment
from jupyterhub_usage_quotas.ledger.drafts import Proposal, draft_of
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment, Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GIB_HOUR = 2.0**30 * 3600
EVERYONE = {"window": 7, "scope": {"everyone": True}}
POLICIES = parse_policies(
    [
        EVERYONE | {"name": "memory", "resource": "memory", "limit": "100 GiB-hours"},
        EVERYONE | {"name": "time", "resource": "time", "limit": "20 hours"},
        EVERYONE | {"name": "team", "resource": "gpu", "limit": "5 GPU-hours", "share": "pooled"},
        EVERYONE | {"resource": "cpu", "limit": "5 CPU-hours"},
    ]
)


def draft(**changed: object) -> Adjustment:
    given = {
        "kind": "grant",
        "policy": "memory",
        "user": "ada",
        "amount": "2 GiB-hours",
        "until": "7d",
        "actor": "tutor",
        "reason": "a late deadline",
    } | changed
    return draft_of(Proposal(**given), POLICIES, NOW)  # type: ignore[arg-type]


def errors(**changed: object) -> tuple[str, ...]:
    with pytest.raises(InvalidAdjustment) as refused:
        draft(**changed)
    return refused.value.errors


@pytest.mark.parametrize(
    ("policy", "amount", "base"),
    [
        ("memory", "2 GiB-hours", 2 * GIB_HOUR),
        ("memory", "90 GiB minutes", 1.5 * GIB_HOUR),
        ("memory", "1 GB-hour", 1e9 * 3600),
        ("memory", "0.5 GiB-days", 12 * GIB_HOUR),
        ("time", "2h", 7200.0),
        ("time", "90 minutes", 5400.0),
    ],
)
def test_an_amount_is_in_any_unit_of_what_the_policy_limits(policy, amount, base):
    granted = draft(policy=policy, amount=amount)
    assert isinstance(granted, Grant)
    assert granted.amount == pytest.approx(base, rel=1e-12)
    instead = draft(kind="override", policy=policy, amount=amount)
    assert isinstance(instead, Override)
    assert instead.limit == pytest.approx(base, rel=1e-12)


def test_an_override_may_leave_nothing_and_a_grant_gives_something():
    assert draft(kind="override", amount="0 GiB-hours").limit == 0.0  # type: ignore[attr-defined]
    (error,) = errors(amount="0 GiB-hours")
    assert error == "amount: got '0 GiB-hours'; expected more than 0"
    for kind in ("grant", "override"):
        (error,) = errors(kind=kind, amount="-1 GiB-hours")
        assert error.startswith("amount: got '-1 GiB-hours'")


def test_an_exemption_has_no_amount():
    assert isinstance(draft(kind="exemption", amount=""), Exemption)
    (error,) = errors(kind="exemption", amount="2 GiB-hours")
    assert error == "amount: an exemption has none: got '2 GiB-hours'"


@pytest.mark.parametrize("amount", ["", "2", "GiB-hours", "2 GiB", "2 GPU-hours", "two", "1e400 h"])
def test_what_is_no_amount_of_it_is_refused(amount):
    (error,) = errors(amount=amount)
    assert error.startswith("amount: ")
    assert repr(amount.removeprefix("2 ") or amount) in error


@pytest.mark.parametrize(
    ("start", "until", "begins", "ends"),
    [
        ("", "7d", NOW, NOW + 7 * DAY),
        ("", "36h", NOW, NOW + 36 * HOUR),
        ("", "2 weeks", NOW, NOW + 14 * DAY),
        ("", "2026-11-30T00:00:00Z", NOW, datetime(2026, 11, 30, tzinfo=UTC)),
        ("", "2026-11-30T00:00+01:00", NOW, datetime(2026, 11, 29, 23, tzinfo=UTC)),
        ("", " 20261130t000000z ", NOW, datetime(2026, 11, 30, tzinfo=UTC)),
        ("2026-12-01T00:00Z", "1d", *(datetime(2026, 12, day, tzinfo=UTC) for day in (1, 2))),
        (
            "2026-12-01T00:00Z",
            "2026-12-08T00:00Z",
            *(datetime(2026, 12, day, tzinfo=UTC) for day in (1, 8)),
        ),
    ],
)
def test_it_lasts_for_a_while_or_until_an_instant(start, until, begins, ends):
    made = draft(start=start, until=until)
    assert (made.start, made.until) == (begins, ends)


@pytest.mark.parametrize(
    "until",
    ["", "7", "soon", "2026-11-30", "2026-11-30T00:00", "2026-13-01T00:00Z", "99999d", "-1d"],
)
def test_what_is_no_end_is_refused_with_both_forms(until):
    (error,) = errors(until=until)
    assert error.startswith("until: ")
    assert repr(until) in error
    assert "ISO 8601, for example 2026-11-24T10:05:00Z" in error


def test_an_end_before_the_start_and_a_start_that_is_none():
    (error,) = errors(until="2026-11-23T09:59Z")
    assert "until to be later than start" in error
    (error,) = errors(start="tomorrow")
    assert error.startswith("start: got 'tomorrow'; expected an instant")
    (error,) = errors(until="0s")
    assert "until to be later than start" in error
    (error,) = errors(start="9999-12-31T00:00Z", until="30d")
    assert error.startswith("start: got '9999-12-31T00:00Z'; expected an instant")


def test_everything_that_is_wrong_is_said_at_once():
    found = errors(amount="2", start="x", until="y", reason=" ", actor="\n")
    assert [re.split(r"[: ]", one)[0] for one in found] == [
        *("start", "until", "amount", "actor", "a"),
    ]


def test_the_policy_must_be_one_that_can_be_adjusted():
    (error,) = errors(policy="memroy")
    assert error.startswith("unknown policy: got 'memroy'; expected one of: memory, time, team, ")
    (error,) = errors(policy="team", amount="1 GPU-hour", user="ada")
    assert "share: pooled" in error
    assert draft(policy="team", amount="1 GPU-hour", user=None).user is None
    (unnamed,) = POLICIES.default_names
    (error,) = errors(policy=unnamed, amount="1 CPU-hours")
    assert "has no name of its own" in error


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_is_a_draft_or_is_refused(policy, amount, start, until):
    try:
        made = draft(policy=policy, amount=amount, start=start, until=until)
    except InvalidAdjustment as refused:
        longest = max(map(len, refused.errors))
    else:
        longest = 0
        assert made.start < made.until
    assert longest < 1000
