"""The table by which running servers are warned, given grace and stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.stopping.states import TRANSITIONS, Event, State
from jupyterhub_usage_quotas.quotas.stopping.steps import (
    AskStop,
    BeginGrace,
    EndGrace,
    Exhausted,
    NotKnown,
    NotRunning,
    NotStopped,
    Remains,
    Rules,
    SayStopped,
    Warn,
    Watch,
    step,
)

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
RULES = Rules(timedelta(minutes=5), tuple(timedelta(minutes=n) for n in (30, 10, 2)))
SILENT = Rules(timedelta(minutes=5), ())
AT_ONCE = Rules(timedelta(0), ())


def minutes(number):
    return timedelta(minutes=number)


def at(number):
    return NOW + minutes(number)


def follow(found, rules=RULES, watch=None):
    """The states after one finding each minute, and what was done: `(minute, action)`."""
    watch = watch or Watch()
    states, done = [], []
    for number, one in enumerate(found):
        made = one(number) if callable(one) else one
        result = step(watch, made, rules, at(number))
        watch = result.watch
        states.append(watch.state.value)
        done += [(number, action) for action in result.actions]
    return states, done, watch


def over(number):
    """Nothing remains, as read half a minute ago."""
    return Exhausted(at(number) - timedelta(seconds=30))


def lasts(more, allowance=0.0):
    """It lasts for so many minutes more."""
    return lambda number: Remains(at(number + more), allowance)


# --- the table ------------------------------------------------------------------------------------


def test_every_state_has_an_answer_to_every_event_but_the_last():
    assert set(TRANSITIONS) == set(State)
    for state, row in TRANSITIONS.items():
        assert set(row) == (set() if state is State.STOPPED else set(Event))


def test_what_is_not_known_changes_nothing():
    for state in set(State) - {State.STOPPED}:
        assert TRANSITIONS[state][Event.UNCERTAIN] is state


def test_only_a_grace_that_is_past_leads_to_a_stop():
    ways = {
        (state, event)
        for state, row in TRANSITIONS.items()
        for event, after in row.items()
        if after is State.STOPPING and state is not State.STOPPING
    }
    assert ways == {(State.GRACE, Event.OVERDUE)}


# --- what users live through ----------------------------------------------------------------------


def test_a_user_is_warned_three_times_given_grace_and_stopped():
    ends = at(32)
    found = [Remains(ends)] * 32 + [over] * 12
    states, done, _ = follow(found)
    assert done == [
        (2, Warn(minutes(30), ends)),
        (22, Warn(minutes(10), ends)),
        (30, Warn(minutes(2), ends)),
        # The third reading that says so begins the grace.
        (34, BeginGrace(at(39))),
        (39, AskStop()),
        (40, AskStop()),
        (41, AskStop()),
        (42, AskStop()),
        (43, AskStop()),
    ]
    assert states[1:3] == ["ok", "warned"]
    assert states[33:35] == ["warned", "grace"]
    assert states[38:40] == ["grace", "stopping"]


def test_a_server_that_starts_with_little_left_gets_one_warning_not_three():
    _, done, _ = follow([Remains(at(9))] * 2)
    assert done == [(0, Warn(minutes(10), at(9)))]


def test_what_comes_without_a_warning_is_a_warning_itself():
    rules = Rules(timedelta(0), (minutes(10), minutes(2)))
    _, done, _ = follow([over] * 5, rules)
    assert done == [(2, BeginGrace(at(4))), (4, AskStop())]


def test_without_warnings_and_grace_a_server_is_stopped_after_the_readings():
    _, done, _ = follow([over] * 4, AT_ONCE)
    assert done == [(2, BeginGrace(at(2))), (3, AskStop())]


def test_a_doubt_begins_the_readings_anew():
    states, done, _ = follow([over, over, NotKnown(), over, over, NotKnown(), over, over], AT_ONCE)
    assert set(states) == {"ok"}
    assert done == []


def test_a_doubt_in_grace_needs_as_many_readings_again_and_does_not_move_its_end():
    found = [over] * 4 + [NotKnown()] * 10 + [over] * 3
    _, done, watch = follow(found)
    assert done == [(2, BeginGrace(at(7))), (16, AskStop())]
    assert watch.grace_until == at(7)


def test_the_same_reading_twice_is_one():
    same = Exhausted(NOW)
    states, done, _ = follow([same] * 20, AT_ONCE)
    assert set(states) == {"ok"}
    assert done == []


def test_readings_that_go_back_in_time_are_not_in_a_row():
    back = [Exhausted(at(-number)) for number in range(20)]
    states, done, _ = follow(back, AT_ONCE)
    assert set(states) == {"ok"}
    assert done == []


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (Remains(None), "ok"),
        (lasts(600), "ok"),
        (lasts(20), "warned"),
        (lasts(1), "grace"),  # not worth it
        (NotKnown(), "grace"),
        (Exhausted(at(3), needed=False), "ok"),
        (NotRunning(), "stopped"),
    ],
)
def test_what_ends_a_grace(then, state):
    states, done, watch = follow([over] * 3 + [then])
    assert states[-1] == state
    assert ((3, EndGrace()) in done) == (state in ("ok", "warned"))
    assert (watch.grace_until is None) == (state in ("ok", "warned"))


def test_nothing_is_asked_for_while_anything_remains():
    found = [over] * 7 + [lasts(1)] * 10
    states, done, _ = follow(found)
    assert set(states[2:]) == {"grace"}
    assert done == [(2, BeginGrace(at(7)))]


def test_who_was_given_more_is_warned_again():
    found = [Remains(at(9), 10.0)] + [over] * 3 + [Remains(at(24), 20.0)] * 12
    _, done, _ = follow(found)
    assert done == [
        (0, Warn(minutes(10), at(9))),
        (3, BeginGrace(at(8))),
        (4, EndGrace()),
        (14, Warn(minutes(10), at(24))),
    ]


def test_what_trickles_back_warns_nobody_again():
    # Five minutes come back, again and again.
    found = [Remains(at(9))] + [over] * 3 + [lasts(5), lasts(4), lasts(5), lasts(4)]
    _, done, _ = follow(found)
    assert [type(action) for _, action in done] == [Warn, BeginGrace, EndGrace]


def test_a_stop_that_was_not_right_is_looked_at_from_the_beginning():
    states, done, _ = follow([over] * 4 + [NotStopped()] + [over] * 4, AT_ONCE)
    assert states[3:5] == ["stopping", "grace"]
    # The readings in a row begin anew.
    assert [number for number, action in done if action == AskStop()] == [3, 7, 8]


def test_a_stop_is_requested_once_a_minute():
    _, _, watch = follow([over] * 4, AT_ONCE)
    soon = at(3) + timedelta(seconds=59)
    assert step(watch, Exhausted(soon), AT_ONCE, soon).actions == ()
    assert step(watch, Exhausted(at(4)), AT_ONCE, at(4)).actions == (AskStop(),)


def test_a_server_that_went_while_it_was_stopped_was_stopped():
    _, done, _ = follow([over] * 4 + [NotRunning()], AT_ONCE)
    assert done[-1] == (4, SayStopped())
    assert follow([over] * 3 + [NotRunning()], AT_ONCE)[1] == [(2, BeginGrace(at(2)))]


def test_another_process_sees_for_itself_and_neither_warns_again_nor_shortens_a_grace():
    _, _, watch = follow([Remains(at(9))] + [over] * 3)
    states, done, after = follow([over] * 2, watch=watch.restored())
    assert states == ["grace", "grace"]
    assert done == []
    assert after.grace_until == watch.grace_until == at(8)


def test_a_clock_that_is_set_forward_shortens_no_grace():
    _, _, watch = follow([over] * 3)
    moved = watch.shifted(timedelta(hours=3))
    assert moved.grace_until == at(7) + timedelta(hours=3)
    later = at(3) + timedelta(hours=3)
    assert step(moved, Exhausted(later), RULES, later).actions == ()


# --- whatever happens -----------------------------------------------------------------------------

durations = st.integers(0, 45).map(minutes)
rules_ = st.builds(
    Rules,
    grace=durations,
    warn_before=st.lists(st.integers(1, 45).map(minutes), max_size=3, unique=True).map(
        lambda some: tuple(sorted(some, reverse=True))
    ),
    readings=st.integers(2, 4),
)
findings = st.one_of(
    st.just("unknown"),
    st.just("refused"),
    st.just("spared"),
    st.sampled_from(["over", "over again"]),
    st.integers(0, 60).map(minutes),
    st.none(),
)
walks = st.lists(
    st.tuples(findings, st.integers(1, 240)) | st.tuples(st.just("over"), st.just(60)), max_size=60
)


def judgement(what, now, before):
    """A finding at an instant; `before` is how far the last reading reached."""
    named = {
        "unknown": NotKnown(),
        "refused": NotStopped(),
        "spared": Exhausted(now, needed=False),
        "over": Exhausted(now),
        "over again": Exhausted(before),
        None: Remains(None),
    }
    return named[what] if what in named else Remains(now + what)


@given(walks, rules_)
def test_no_doubt_leads_to_a_stop_and_no_stop_comes_without_a_warning(walk, rules):
    watch, now, read = Watch(), NOW, NOW
    in_a_row, said, said_at = 0, False, None
    for what, seconds in walk:
        now += timedelta(seconds=seconds)
        found = judgement(what, now, read)
        if isinstance(found, Exhausted) and found.needed:
            in_a_row = in_a_row if found.as_of == read and in_a_row else in_a_row + 1
            read = found.as_of
        else:
            in_a_row = 0
        result = step(watch, found, rules, now)
        watch = result.watch
        for action in result.actions:
            match action:
                case Warn() | BeginGrace():
                    said, said_at = True, said_at or now
                case EndGrace():
                    said_at = None
                case AskStop():
                    assert isinstance(found, Exhausted)
                    assert found.needed
                    assert in_a_row >= rules.readings
                    assert said
                    assert said_at is not None
                    assert now - said_at >= rules.grace
