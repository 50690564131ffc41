"""What users read: the words, and that nothing from outside becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.hub.launch.message import denial_message, unavailable_message
from jupyterhub_usage_quotas.quotas.decide import Decision, Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIB = 1024**3
CONTACT = "Ask <b>us</b> at https://help.example.org/a?b=1&c=2."


def denied(*policies: dict, hours: float = 100, rates: dict | None = None) -> Decision:
    """A user who used a GiB, a core and a GPU for so many hours that ended just now."""
    end = NOW.timestamp()
    amounts = {"memory": GIB, "cpu": 1, "gpu": 1, "time": 1}
    usage = {
        resource: Fresh(
            Usage((Bucket(end - hours * 3600, end, amount * hours * 3600),), covered_until=NOW)
        )
        for resource, amount in amounts.items()
    }
    everyone = [policy | {"scope": {"everyone": True}} for policy in policies]
    decision = decide(
        parse_policies(everyone, failover_open=False),
        usage,
        Request(Subject("alice"), rates=rates or {"time": 1.0}),
        NOW,
    )
    assert not decision.allowed
    return decision


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (
            {"resource": "memory", "limit": "10 GiB-hours", "window": 7},
            "You have used up your memory quota: 100 of 10 GiB-hours in the last 7 days.",
        ),
        (
            {"resource": "cpu", "limit": "10 core-hours", "window": "24h"},
            "You have used up your CPU quota: 24 of 10 CPU-hours in the last day.",
        ),
        (
            {"resource": "time", "limit": "10h", "window": 7},
            "You have used up your server time quota: 100h of 10h in the last 7 days.",
        ),
        (
            {"resource": "gpu", "limit": "0 GPU-hours", "window": 7},
            "Your GPU quota is zero, so this server cannot be started.",
        ),
        (
            {
                "resource": "time",
                "limit": "110h",
                "window": 7,
                "minimum_session": "20h",
            },
            "Too little of your server time quota is left: 100h of 110h were used in the last 7"
            " days, and this server needs at least 20h.",
        ),
        (
            {"resource": "time", "limit": "2h", "window": 7, "minimum_session": "3h"},
            "This server asks for more than your server time quota can ever give: it needs at"
            " least 3h, and the quota is 2h per 7 days. Choose a smaller server.",
        ),
    ],
)
def test_one_sentence_says_why(policy, says):
    assert denial_message(denied(policy), "").text.startswith(says)


def test_every_exhausted_policy_is_named_and_the_joint_time_is_given():
    message = denial_message(
        denied(
            {"resource": "memory", "limit": "90 GiB-hours", "window": 7},
            {"resource": "cpu", "limit": "20 CPU-hours", "window": 3},
            {"resource": "gpu", "limit": "1000 GPU-hours", "window": 7},
        ),
        "",
    )
    assert "memory quota" in message.text
    assert "CPU quota" in message.text
    assert "GPU" not in message.text
    # By hand: memory is free when 10 of 100 hours have left 7 days, 68 h + 10 h from now, cpu
    # when 52 of 72 hours have left 3 days, 52 h from now. At 18:00 sharp nothing remains yet.
    assert "again from Wednesday, 25 November 2026, 18:01 UTC." in message.text


def test_waiting_is_not_advised_where_it_cannot_help():
    message = denial_message(
        denied({"resource": "gpu", "limit": "0 GPU-hours", "window": 7}), CONTACT
    )
    assert "again from" not in message.text
    assert "time" not in [tag.name for tag in BeautifulSoup(message.html, "html.parser")()]


@pytest.mark.parametrize(
    "message",
    [
        denial_message(denied({"resource": "cpu", "limit": "1 CPU-hours", "window": 7}), CONTACT),
        unavailable_message(CONTACT),
    ],
)
def test_the_contact_is_text_and_its_address_a_link(message):
    assert message.text.endswith(CONTACT)
    soup = BeautifulSoup(message.html, "html.parser")
    assert soup.find("b") is None
    assert soup.find("a")["href"] == "https://help.example.org/a?b=1&c=2"


def test_both_forms_say_the_same():
    message = denial_message(
        denied({"resource": "cpu", "limit": "1 CPU-hours", "window": 7}), CONTACT
    )
    soup = BeautifulSoup(message.html.replace("<br>", " "), "html.parser")
    soup.script.decompose()
    assert soup.get_text() == message.text
