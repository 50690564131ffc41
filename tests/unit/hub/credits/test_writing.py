"""Another balance or cap becomes adjustments, which make the balance what was wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.config.credits.options import with_billing
from jupyterhub_usage_quotas.hub.credits.balances import balance_of
from jupyterhub_usage_quotas.hub.credits.writing import Unwritable, drafts_for
from jupyterhub_usage_quotas.ledger.entries import checked
from jupyterhub_usage_quotas.quotas.decide import judge_all
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

NOW = datetime(2026, 3, 4, 12, 3, tzinfo=UTC)
POLICIES = parse_policies(
    [
        {
            "name": "credits",
            "resource": "credits",
            "limit": "100 credits",
            "window": {"refill": 10, "every": "10 minutes"},
            "scope": {"everyone": True},
        }
    ],
    built_in=with_billing(RESOURCES),
)


def verdict_after(spent, adjustments=(), now=NOW):
    end = NOW.timestamp()
    buckets = (Bucket(end - 1, end, spent),) if spent else ()
    readings = {"credits": Fresh(Usage(buckets, now))}
    (made,) = judge_all(
        POLICIES, readings, Request(Subject("ada")), now, adjustments=tuple(adjustments)
    )
    return made


def written(body, spent=30, adjustments=()):
    verdict = verdict_after(spent, adjustments)
    balance = balance_of("default", verdict, NOW)
    drafts = drafts_for(body, verdict, balance, adjustments, "ada", "root", NOW)
    return [checked(one) for one in drafts]


def model(spent, adjustments, now=NOW):
    made = balance_of("default", verdict_after(spent, adjustments, now), now).model()
    return made["balance"], made["cap"]


def test_what_is_said_of_a_balance():
    assert balance_of("default", verdict_after(30), NOW).model() == {
        "name": "default",
        "balance": 70,
        "cap": 100,
        "grant_value": 10,
        "grant_interval": 600,
        "grant_last_update": "2026-03-04T12:00:00",
        "next_grant": "2026-03-04T12:10:00Z",
    }
    assert balance_of("default", verdict_after(0), NOW).model()["next_grant"] is None
    # Nobody's balance is below nothing.
    assert balance_of("default", verdict_after(130), NOW).model()["balance"] == 0


@given(spent=st.integers(0, 150), balance=st.integers(0, 200), cap=st.none() | st.integers(1, 200))
def test_a_balance_that_is_written_is_the_one_that_is_read(spent, balance, cap):
    body = {"balance": balance} | ({} if cap is None else {"cap": cap})
    if balance > (cap or 100):
        with pytest.raises(Unwritable, match="balance above the cap"):
            written(body, spent)
        return
    drafts = [checked(one) for one in written(body, spent)]
    assert model(spent, numbered_from(drafts))[0] == balance


def numbered_from(drafts):
    return [replace(one, id=number, created=NOW) for number, one in enumerate(drafts, 1)]


def test_a_lower_balance_comes_back_when_it_would_have():
    """From 70 to 45: 25 are 3 intervals of 10."""
    drafts = numbered_from(written({"balance": 45}))
    assert [one.until - one.start for one in drafts] == [timedelta(minutes=30)]
    assert model(30, drafts) == (45, 75)
    # After 30 minutes 30 came back anyway: she has what she would have had.
    assert model(30, drafts, NOW + timedelta(minutes=30)) == (100, 100)


def test_a_cap_stays_as_it_was_written():
    drafts = numbered_from(written({"cap": 500}))
    assert model(30, drafts) == (470, 500)
    assert model(30, drafts, NOW + timedelta(days=3000))[1] == 500


def test_who_and_why_is_kept():
    (draft,) = written({"balance": 0, "reason": "abuse of the queue"})
    assert (draft.actor, draft.reason, draft.user) == ("root", "abuse of the queue", "ada")
    (draft,) = written({"balance": 0})
    assert draft.reason == "written through the credits API"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "not an object"),
        ({"balance": -1}, "balance: got -1"),
        ({"balance": "5"}, "balance: got '5'"),
        ({"balance": True}, "balance: got True"),
        ({"cap": float("nan")}, "cap: got nan"),
        ({"cap": 10**400}, "cap"),
        ({"balanc": 1}, "did you mean balance"),
        ({"grant_value": 11}, "grant_value is what the configuration says: got 11; expected 10"),
        ({"reason": "x", "balance": 1}, "a reason is required"),
    ],
)
def test_what_cannot_be_written_is_refused(body, said):
    with pytest.raises(ValueError, match=said):
        written(body)


def test_what_is_as_it_was_writes_nothing():
    same = {"balance": 70, "cap": 100, "grant_value": 10, "grant_interval": 600}
    assert written(same | {"project_name": None}) == []
