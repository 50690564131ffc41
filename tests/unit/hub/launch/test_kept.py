"""What a launch was decided on, kept with its server: over restarts of the Hub, and no longer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub import orm
from jupyterhub.spawner import SimpleLocalProcessSpawner

from jupyterhub_usage_quotas.hub.launch.kept import KEY, LONGEST, forget, keep, kept_of
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from tests.support.hub_objects import hub_user

NOW = datetime(2026, 3, 4, 12, 34, 56, tzinfo=UTC)
ADA = Subject("ada")
RATES = {"memory": 64 * 1024.0**3, "cpu": 0.5, "gpu": 0.0, "time": 1.0}


def launched(state: Any = None) -> SimpleLocalProcessSpawner:
    """A spawner as a Hub has it that was just started, with what its database has of the server."""
    made = SimpleLocalProcessSpawner()
    made.orm_spawner = orm.Spawner(name="", state=state)
    return made


def stored(spawner: SimpleLocalProcessSpawner) -> Any:
    """What the Hub writes into its database."""
    return json.loads(json.dumps(spawner.get_state()))


def test_it_is_read_back_after_a_restart_of_the_hub():
    before = launched()
    kept = keep(before, Request(ADA, "", "gpu", RATES, "GPU <large>"), NOW)
    assert kept_of(before) == kept
    before.pid = 4711
    after = launched(stored(before))
    assert kept_of(after) == kept
    assert (kept_of(after).request(ADA, "x").rates, kept.at) == (RATES, NOW)
    # And once more, as when the Hub stores the state in between.
    assert kept_of(launched(stored(after))) == kept
    assert stored(before)["pid"] == 4711


def test_of_another_launch_nothing_is_left():
    spawner = launched()
    keep(spawner, Request(ADA, rates=RATES), NOW)
    spawner.clear_state()  # as the Hub does before a launch, and after a server stopped
    assert kept_of(spawner) is None
    assert KEY not in stored(spawner)
    other = keep(spawner, Request(ADA, rates={"time": 1.0}), NOW)
    assert kept_of(spawner) == other
    assert stored(spawner)[KEY]["rates"] == {"time": 1.0}


def test_what_is_stored_of_a_server_that_ended_with_its_hub_is_of_no_launch_after_it():
    before = launched()
    keep(before, Request(ADA, rates=RATES), NOW)
    after = launched(stored(before))
    forget(after)
    assert kept_of(after) is None


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"pid": 1},
        {KEY: None},
        {KEY: []},
        {KEY: "x"},
        {KEY: {}},
        {KEY: {"rates": {"memory": -1}, "at": NOW.isoformat()}},
        {KEY: {"rates": {"memory": "nan"}, "at": NOW.isoformat()}},
        {KEY: {"rates": {}, "at": "yesterday"}},
        {KEY: {"profile": "x" * 5000, "rates": {}, "at": NOW.isoformat()}},
    ],
)
def test_what_cannot_be_read_is_not_guessed(state):
    assert kept_of(launched(state)) is None


def test_what_cannot_be_read_is_logged_with_the_server_on_a_line_of_bounded_length(caplog):
    rates = {f"r{number}\n": -number for number in range(1, 1000)}
    spawner = launched({KEY: {"rates": rates, "at": "yesterday"}})
    spawner.user, spawner.orm_spawner.name = hub_user("ada\x1b"), "work"
    kept_of(spawner)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("What the server 'work' of 'ada\\x1b' was started with cannot be read")
    assert "rates.r1" in line
    assert line.endswith("; restart the server, or what it uses is not known")
    assert line.isprintable()
    assert len(line) < 500


@given(profile=st.text(), name=st.text(max_size=2000))
def test_texts_are_valid_bounded_and_on_one_line(profile, name):
    spawner = launched()
    kept = keep(spawner, Request(ADA, "", profile, RATES, name), NOW)
    for text in (kept.profile, kept.profile_name):
        text.encode()
        assert len(text) <= LONGEST
        assert text.isprintable()
    assert kept_of(launched(stored(spawner))) == kept
