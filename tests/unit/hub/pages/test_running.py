"""What the Hub's pages say of running servers, and why one was stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from jupyterhub_usage_quotas.hub.pages.running import server_notices
from jupyterhub_usage_quotas.quotas.stopping.notices import Notice, NoticeKind
from jupyterhub_usage_quotas.quotas.stopping.states import State
from jupyterhub_usage_quotas.status.language import ENGLISH
from jupyterhub_usage_quotas.status.running import RunningServer
from tests.support.hub_objects import hub_spawner, hub_user

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=7)


def said(servers=(), notices=(), spawners=(), enforced=True):
    """What a page says, filled in."""
    user = hub_user("ada", spawners={one.name: one for one in spawners})
    view = SimpleNamespace(
        enforced=enforced, servers_of=lambda _: servers, notices_of=lambda _: notices
    )
    lines = []
    for one in server_notices(view, user, NOW, ENGLISH):
        when = one.until.text if one.until else ""
        line = ENGLISH.gettext(one.form, server=one.server, policy=one.policy, time=when)
        lines.append((one.kind, one.urgent, line))
    return lines


def server(state, name="", **more):
    values = {"policies": ("gpu-week",), "exhausted_at": LATER, "stops_at": None} | more
    return RunningServer(name, NOW - timedelta(hours=1), state, **values)


def stopped(name="", until=LATER):
    text = "in the log only"
    about = ("1", "ada", name, "gpu-week", NoticeKind.STOPPED, timedelta(0))
    return Notice(*about, until, text, NOW)


@pytest.mark.parametrize(
    ("state", "more", "line"),
    [
        (State.OK, {}, None),
        (
            State.WARNED,
            {},
            "Your server can run until Wed 12:07 UTC. Then the quota “gpu-week” is used up, and it"
            " is stopped soon after. Save your work.",
        ),
        (
            State.GRACE,
            {"stops_at": LATER},
            "Your server is stopped at Wed 12:07 UTC: the quota “gpu-week” is used up. Save your"
            " work now.",
        ),
        (
            State.STOPPING,
            {},
            "Your server is stopped soon: the quota “gpu-week” is used up. Save your work now.",
        ),
    ],
)
def test_a_server_that_runs_out(state, more, line):
    assert [one for _, _, one in said([server(state, **more)])] == ([line] if line else [])


def test_a_server_that_was_stopped_says_why_and_from_when_on_it_may_start():
    again = "It can start again at Wed 12:07 UTC."
    line = f"Your server lab was stopped: the quota “gpu-week” is used up. {again}"
    assert said(notices=[stopped("lab"), stopped("lab", None)]) == [("stopped", False, line)]
    past = said(notices=[stopped("lab", NOW)], spawners=[hub_spawner("lab")])
    assert [one for _, _, one in past] == [line.removesuffix(f" {again}")]


def test_nothing_is_said_of_one_that_runs_again():
    assert said(notices=[stopped()], spawners=[hub_spawner(active=True)]) == []


def test_nothing_is_said_where_nothing_is_stopped():
    assert said([server(State.GRACE)], [stopped()], enforced=False) == []
