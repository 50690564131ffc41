"""The guard of a made-up Hub: its API is faked at the transport, time goes on as tests say."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from jupyterhub_usage_quotas.conventions import Reason
from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.quotas.adjustments import Grant
from jupyterhub_usage_quotas.quotas.stopping.steps import Rules
from jupyterhub_usage_quotas.quotas.usage import Unknown
from tests.support.guarding import BEGIN, MINUTE, POLICY, MadeUpHub

AWAY = Unknown(Reason.UNREACHABLE, "Prometheus is away")


def stops(outcome):
    name = "jupyterhub_usage_quotas_guard_stops_total"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0.0


def state(hub, user="ada"):
    return [one.state.value for one in hub.guard.servers_of(user)]


def kinds(hub, user="ada"):
    return [one.kind.value for one in reversed(hub.guard.notices_of(user))]


def at(minutes):
    return BEGIN + minutes * MINUTE


def grant(minutes=60.0, user="ada", **more):
    about = {"policy": "hours", "start": BEGIN, "until": at(600), "actor": "lin", "reason": "exam"}
    return Grant(**about | {"amount": minutes * 60, "user": user} | more)


@pytest.fixture
async def hub():
    hub = MadeUpHub()
    yield hub
    if hub.guard:
        await hub.guard.aclose()


@pytest.fixture
async def ledger(hub, tmp_path):
    ledger = hub.ledger(tmp_path)
    yield ledger
    await ledger.aclose()


async def test_a_server_is_stopped_when_its_grace_ends_and_not_at_the_refresh_after(hub):
    """The grace is of so little time that it passes while the test waits."""
    hub.start(hub.user("ada"))
    hub.watch(rules=Rules(timedelta(milliseconds=50), (), 2))
    await hub.minutes(60)
    # Of the made-up clock nothing passes; nor is there another refresh.
    await hub.minutes(1, settle=False)
    assert (state(hub), hub.deleted) == (["grace"], [])
    hub.pass_(timedelta(milliseconds=50))
    await asyncio.wait_for(hub.asked.wait(), 60)
    await hub.guard.settle()
    assert hub.deleted == ["users/ada/server"]
    assert kinds(hub) == ["grace", "stopped"]


async def test_a_server_is_warned_of_given_grace_and_stopped(hub):
    hub.start(hub.user("ada"))
    hub.watch()
    before = stops("stopped")
    seen = []
    for minute in range(1, 72):
        await hub.minutes(1)
        seen.append((minute, *state(hub)))
    changes = [one for one, last in zip(seen[1:], seen, strict=False) if one[1:] != last[1:]]
    # The hour is over at 13:00, the third reading that says so gives five minutes.
    assert changes == [(30, "warned"), (62, "grace"), (67,)]
    assert hub.deleted == ["users/ada/server"]
    assert kinds(hub) == ["warning", "warning", "warning", "grace", "stopped"]
    warning = hub.guard.notices_of("ada")[-1]
    assert (warning.until, warning.threshold) == (at(60), 30 * MINUTE)
    assert warning.text == (
        "Your server can run until Wed 13:00 UTC. Then the quota “hours” is used up, and it is"
        " stopped soon after. Save your work."
    )
    stopped = hub.guard.notices_of("ada")[0]
    # The next day has another hour.
    assert "It can start again at Thu 00:00 UTC." in stopped.text
    assert stops("stopped") == before + 1


async def test_pages_see_when_it_ends(hub):
    hub.start(hub.user("ada"))
    hub.watch()
    await hub.minutes(40)
    (one,) = hub.guard.servers_of("ada")
    assert (one.exhausted_at, one.stops_at, one.policies) == (at(60), None, ("hours",))
    await hub.minutes(23)
    (one,) = hub.guard.servers_of("ada")
    assert (one.stops_at, one.over_since) == (at(67), at(60))


async def test_a_grant_in_grace_lets_a_server_run_on_at_once(hub, ledger):
    hub.start(hub.user("ada"))
    hub.watch(ledger)
    await hub.minutes(63)
    assert state(hub) == ["grace"]
    await ledger.record([grant(60)])
    await hub.guard.settle()
    # No refresh in between.
    assert state(hub) == ["ok"]
    assert kinds(hub)[-1] == "continues"
    await hub.minutes(40)
    assert state(hub) == ["warned"]
    assert hub.deleted == []


async def test_a_grant_for_everyone_counts_too(hub, ledger):
    hub.start(hub.user("ada"))
    hub.watch(ledger)
    await hub.minutes(63)
    await ledger.record([grant(user=None)])
    await hub.guard.settle()
    assert state(hub) == ["ok"]


@pytest.mark.parametrize("minute", [61, 62, 64, 66, 67, 68])
async def test_unknown_usage_never_leads_to_a_stop(hub, minute):
    hub.start(hub.user("ada"))
    hub.watch()
    await hub.minutes(minute - 1)
    hub.meter.unknown = AWAY
    deleted = len(hub.deleted)
    await hub.minutes(120)
    assert len(hub.deleted) == deleted
    if deleted == 0:
        hub.meter.unknown = None
        await hub.minutes(2)
        # Two readings are not enough, whatever was known before.
        assert hub.deleted == []


async def test_usage_that_is_not_known_right_before_the_request_stops_nothing(hub, monkeypatch):
    hub.start(hub.user("ada"))
    guard, before = hub.watch(), stops("changed_mind")
    await hub.minutes(66)
    hub.pass_(MINUTE)
    hub.read()
    peek, looks = hub.meter.peek, []

    def known_once(*arguments, **more):
        if looks:
            hub.meter.unknown = AWAY
        looks.append(hub.now)
        return peek(*arguments, **more)

    # It looks, and then it is about to look again.
    monkeypatch.setattr(hub.meter, "peek", known_once)
    await guard.refreshed(hub.now)
    await guard.settle()
    assert len(looks) == 2
    assert hub.requests == []
    assert state(hub) == ["grace"] or state(hub) == ["stopping"]
    assert stops("changed_mind") == before + 1


async def test_a_ledger_that_cannot_be_read_right_before_stops_nothing(hub, ledger, monkeypatch):
    hub.start(hub.user("ada"))
    hub.watch(ledger)
    await hub.minutes(66)

    def away(*_args, **_more):
        raise LedgerUnavailable("the database is locked")

    monkeypatch.setattr(ledger.journal.database, "read", away)
    await hub.minutes(30)
    assert hub.deleted == []
    monkeypatch.undo()
    await hub.minutes(4)
    assert hub.deleted == ["users/ada/server"]


async def test_a_grant_that_was_not_read_yet_is_found_right_before(hub, ledger, tmp_path):
    hub.start(hub.user("ada"))
    hub.watch(ledger)
    await hub.minutes(66)
    other = hub.ledger(tmp_path)
    await other.record([grant()])
    await other.aclose()
    await hub.minutes(1)
    assert hub.deleted == []
    assert state(hub) == ["ok"]


async def test_without_a_ledger_that_was_ever_read_nothing_follows(hub, tmp_path):
    nowhere = hub.ledger(tmp_path / "none")
    hub.start(hub.user("ada"))
    hub.watch(nowhere)
    await hub.minutes(100)
    assert hub.deleted == []
    await nowhere.aclose()


@pytest.mark.parametrize("hours", [1, 30, -1, -30])
async def test_a_clock_that_jumps_stops_nothing_sooner(hub, hours):
    hub.start(hub.user("ada"))
    hub.watch()
    await hub.minutes(63)
    (before,) = hub.guard.servers_of("ada")
    jump = timedelta(hours=hours)
    # All clocks jump, that of the exporter, too.
    hub.now += jump
    hub.meter.sessions = {
        user: [[start + jump, end] for start, end in some]
        for user, some in hub.meter.sessions.items()
    }
    await hub.minutes(3)
    assert hub.deleted == []
    (after,) = hub.guard.servers_of("ada")
    if after.stops_at is not None:
        assert after.stops_at == before.stops_at + jump


async def test_a_hub_that_restarts_neither_warns_again_nor_shortens_a_grace(hub, ledger):
    hub.start(hub.user("ada"))
    hub.watch(ledger)
    await hub.minutes(63)
    told = [one.id for one in hub.guard.notices_of("ada")]
    (before,) = hub.guard.servers_of("ada")
    await hub.guard.aclose()
    # The Hub is away for a minute, and knows no server yet when the guard looks first.
    users, hub.app.users = hub.app.users, {}
    hub.watch(ledger)
    await hub.minutes(1)
    hub.app.users = users
    await hub.minutes(2)
    (after,) = hub.guard.servers_of("ada")
    assert (after.state, after.stops_at) == (before.state, before.stops_at)
    assert [one.id for one in hub.guard.notices_of("ada")] == told
    await hub.minutes(2)
    assert hub.deleted == ["users/ada/server"]


async def test_a_restart_in_the_middle_of_a_stop_says_so_once(hub, ledger):
    ada = hub.user("ada")
    hub.start(ada)
    hub.slow = True
    hub.watch(ledger)
    await hub.minutes(66)
    hub.pass_(MINUTE)
    hub.read()
    await hub.guard.refreshed(hub.now)
    await hub.asked.wait()
    await hub.memory.settle()
    await hub.guard.aclose()
    hub.end(ada)
    hub.watch(ledger)
    await hub.minutes(3)
    assert kinds(hub)[-1] == "stopped"
    assert kinds(hub).count("stopped") == 1
    assert len(hub.deleted) == 1


async def test_a_server_that_was_started_again_is_another(hub):
    ada = hub.user("ada")
    hub.start(ada)
    hub.watch()
    await hub.minutes(66)
    # A culler stops it, and the user starts another within the same minute.
    hub.end(ada)
    hub.pass_(MINUTE / 2)
    hub.start(ada)
    await hub.minutes(2)
    assert hub.deleted == []
    assert state(hub) == ["ok"]


async def test_one_that_starts_while_the_guard_looks_is_not_stopped(hub):
    ada = hub.user("ada")
    spawner = hub.start(ada)
    hub.watch()
    await hub.minutes(66)
    before = stops("another")
    answer = hub.answer

    def restarted(request):
        if request.method == "GET":
            spawner.orm_spawner.started += timedelta(seconds=20)
        return answer(request)

    hub.answer = restarted
    await hub.minutes(1)
    assert hub.deleted == []
    assert stops("another") == before + 1


@pytest.mark.parametrize("pending", ["spawn", "stop", "check", "rename"])
async def test_a_server_to_which_something_happens_is_left_alone(hub, pending):
    ada = hub.user("ada")
    spawner = hub.start(ada)
    hub.watch()
    await hub.minutes(66)
    spawner.pending = pending
    await hub.minutes(30)
    assert hub.deleted == []


async def test_a_user_whose_servers_cannot_be_judged_keeps_nobody_elses(hub, caplog):
    class Broken:
        def __iter__(self):
            raise RuntimeError("a row is broken")

    bob, ada = hub.user("bob"), hub.user("ada")
    hub.start(bob)
    hub.start(ada)
    bob.groups = Broken()
    hub.watch()
    with caplog.at_level(logging.ERROR):
        await hub.minutes(70)
    assert hub.deleted == ["users/ada/server"]
    said = [one for one in caplog.records if "'bob'" in one.getMessage()]
    assert len(said) == 1


async def test_a_stop_that_fails_is_tried_again_later_and_keeps_nobody_elses(hub):
    for name in ("ada", "bob"):
        hub.start(hub.user(name))
    hub.refuses = 1
    before = stops("failed")
    hub.watch()
    await hub.minutes(67)
    assert stops("failed") == before + 1
    assert len(hub.deleted) == 2
    # The readings in a row begin anew.
    await hub.minutes(2)
    assert len(hub.deleted) == 2
    await hub.minutes(1)
    assert len(hub.deleted) == 3
    assert state(hub, "ada") == state(hub, "bob") == []


async def test_a_slow_stop_is_waited_for_and_not_requested_again(hub):
    ada = hub.user("ada")
    hub.start(ada)
    hub.slow = True
    before = stops("slow")
    hub.watch()
    await hub.minutes(66)
    await hub.minutes(1, settle=False)
    await hub.asked.wait()
    await hub.minutes(5, settle=False)
    assert len(hub.deleted) == 1
    assert REGISTRY.get_sample_value("jupyterhub_usage_quotas_guard_stops_pending") == 1.0
    hub.end(ada)
    await hub.guard.settle()
    assert stops("slow") == before + 1
    assert kinds(hub)[-1] == "stopped"


async def test_no_more_than_ten_requests_at_once(hub):
    for number in range(40):
        hub.start(hub.user(f"user-{number}"))
    hub.watch()
    await hub.minutes(66)
    running = most = 0
    look = hub.guard.is_still_over

    async def counted(server):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        over = await look(server)
        running -= 1
        return over

    hub.guard._stops._look_again = counted
    await hub.minutes(1)
    assert len(hub.deleted) == 40
    assert most == 10


async def test_the_shadow_stops_nothing_and_counts_once(hub, caplog):
    hub.start(hub.user("ada"))
    hub.watch(enforced=False)
    before = stops("shadow")
    with caplog.at_level(logging.WARNING):
        await hub.minutes(90)
    assert hub.requests == []
    assert stops("shadow") == before + 1
    assert kinds(hub) == []
    assert [one.getMessage() for one in caplog.records if "would be stopped" in one.getMessage()]


async def test_a_new_day_lets_a_server_run_on(hub):
    hub.now = BEGIN + timedelta(hours=10, minutes=50)  # 22:50
    hub.meter.covered_until = hub.now
    hub.start(hub.user("ada"))
    hub.watch()
    # The hour is over at 23:50, ten minutes before it comes back.
    await hub.minutes(66)
    assert state(hub) in (["ok"], ["warned"])
    await hub.minutes(20)
    assert hub.deleted == []
    assert state(hub) == ["ok"]


async def test_a_pool_stops_the_servers_of_all_its_members():
    pool = POLICY | {"share": "pooled", "limit": "2 hours"}
    hub = MadeUpHub([pool])
    for name in ("ada", "bob"):
        hub.start(hub.user(name))
    hub.watch()
    await hub.minutes(62)
    assert state(hub, "ada") == state(hub, "bob") == ["grace"]
    await hub.minutes(6)
    assert sorted(hub.deleted) == ["users/ada/server", "users/bob/server"]
    await hub.guard.aclose()


async def test_named_servers_of_one_user(hub):
    ada = hub.user("ada lovelace/1")
    hub.start(ada, "a b")
    hub.start(ada)
    hub.watch(rules=Rules(timedelta(0), ()))
    await hub.minutes(40)
    assert sorted(hub.deleted) == [
        "users/ada lovelace/1/server",
        "users/ada lovelace/1/servers/a b",
    ]


async def test_a_thousand_servers_take_no_time():
    hub = MadeUpHub([POLICY | {"limit": "20 hours"}])
    for number in range(1000):
        hub.start(hub.user(f"user-{number}", "students"))
    guard = hub.watch()
    await hub.minutes(1)
    took = []
    for _ in range(30):
        hub.pass_(MINUTE)
        hub.read()
        begun = time.thread_time()
        await guard.refreshed(hub.now)
        took.append(time.thread_time() - begun)
    took.sort()
    print(f"median {took[15] * 1000:.1f} ms, worst of 30 {took[-1] * 1000:.1f} ms")
    assert took[15] < 0.020
    await guard.aclose()
