"""When a running server is warned of, given grace and stopped: steps through the table of states.

A server has a `Watch` for each group of policies that may stop it. `step` takes what was found
about it now, and returns the next watch and what is to be done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from .states import TRANSITIONS, Event, State

READINGS: Final = 3
"""So many readings in a row must say that nothing remains."""
WORTH_IT: Final = timedelta(minutes=2)
"""A server that can run for less on what remains is not let out of its grace."""
LONGER: Final = timedelta(minutes=10)
"""A warning is given anew once so much more time is left than it is about, or half of it more."""
ASKED_AGAIN: Final = timedelta(minutes=1)
"""How long after a stop was requested it is requested again."""


# --- what was found ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NotKnown:
    """It cannot be said whether anything remains."""


@dataclass(frozen=True, slots=True)
class Remains:
    """Something remains, until `ends_at` if what runs goes on; None where nothing ends it.

    `allowance` is all that there is, in base units: where it is more than before, somebody gave
    more.
    """

    ends_at: datetime | None = None
    allowance: float = 0.0


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nothing remains, by a reading that reaches to `as_of`. The server is `needed` where what runs
    beside it cannot go on unless it is stopped.
    """

    as_of: datetime
    allowance: float = 0.0
    needed: bool = True


@dataclass(frozen=True, slots=True)
class NotStopped:
    """A stop that was requested did not come about, or was found not to be right any more."""


@dataclass(frozen=True, slots=True)
class NotRunning:
    """The server is gone."""


Judgement = NotKnown | Remains | Exhausted | NotStopped | NotRunning


# --- what is to be done --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Warn:
    """Say that the server runs out in `before` or less: at `ends_at`."""

    before: timedelta
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class BeginGrace:
    """Say that the server is going to be stopped at `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class EndGrace:
    """Say that the server can run on."""


@dataclass(frozen=True, slots=True)
class AskStop:
    """Look once more, and request the stop of the server."""


@dataclass(frozen=True, slots=True)
class SayStopped:
    """Say that the server was stopped."""


Action = Warn | BeginGrace | EndGrace | AskStop | SayStopped


@dataclass(frozen=True, slots=True)
class Rules:
    """How long before the end users are warned, and how much grace they get."""

    grace: timedelta
    warn_before: tuple[timedelta, ...]
    readings: int = READINGS


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of a server and the policies that may stop it.

    `readings` are those in a row that said that nothing remains, the last of which reached to
    `read_until`, and `over_since` is when the first did. `warned` are the warnings that need not be
    given again. `episode` counts how often there was enough again, so that what is said anew can be
    told from what was said.
    """

    state: State = State.OK
    over_since: datetime | None = None
    warned: frozenset[timedelta] = frozenset()
    grace_until: datetime | None = None
    asked_at: datetime | None = None
    episode: int = 0
    readings: int = 0
    read_until: datetime | None = None
    allowance: float | None = None

    def shifted(self, by: timedelta) -> Watch:
        """The same after the clock was set forward by so much: nobody's grace is shorter for it."""

        def later(instant: datetime | None) -> datetime | None:
            return instant + by if instant else None

        return replace(
            self,
            over_since=later(self.over_since),
            grace_until=later(self.grace_until),
            asked_at=later(self.asked_at),
            readings=0,
            read_until=None,
        )

    def restored(self) -> Watch:
        """The same in another process, which has to see for itself that nothing remains."""
        return replace(self, readings=0, read_until=None, allowance=None)


@dataclass(frozen=True, slots=True)
class Step:
    """What follows: the next watch, and what is to be done."""

    watch: Watch
    actions: tuple[Action, ...] = ()


def step(watch: Watch, found: Judgement, rules: Rules, now: datetime) -> Step:
    """What follows from what was found at the instant `now`."""
    watch = _counted(watch, found)
    event = _event(watch, found, rules, now)
    before, after = watch.state, TRANSITIONS[watch.state][event]
    watch = replace(watch, state=after)
    match found:
        case Remains():
            return _remaining(watch, before, found, rules, now)
        case Exhausted():
            return _exhausted(watch, before, event, rules, now)
        case NotStopped():
            return Step(replace(watch, asked_at=None))
        case NotRunning():
            return Step(watch, (SayStopped(),) if before is State.STOPPING else ())
        case _:
            return Step(watch)


def _counted(watch: Watch, found: Judgement) -> Watch:
    """The watch with the readings in a row that say that nothing remains."""
    if not (isinstance(found, Exhausted) and found.needed):
        return replace(watch, readings=0, read_until=None)
    if watch.read_until is None or found.as_of < watch.read_until:
        # The first of them; or the clock of what is read was set back.
        return replace(watch, readings=1, read_until=found.as_of)
    if found.as_of == watch.read_until:
        return watch
    return replace(watch, readings=watch.readings + 1, read_until=found.as_of)


def _event(watch: Watch, found: Judgement, rules: Rules, now: datetime) -> Event:
    match found:
        case Remains(ends_at=ends_at):
            return _event_while_it_lasts(ends_at, rules, now)
        case Exhausted(needed=needed):
            return _event_of_nothing(watch, rules, now) if needed else Event.SPARED
        case NotStopped():
            return Event.REFUSED
        case NotRunning():
            return Event.GONE
        case _:
            return Event.UNCERTAIN


def _event_while_it_lasts(ends_at: datetime | None, rules: Rules, now: datetime) -> Event:
    if ends_at is None:
        return Event.AMPLE
    if ends_at - now < WORTH_IT:
        return Event.BARELY
    ending = any(ends_at - now <= before for before in rules.warn_before)
    return Event.ENDING if ending else Event.AMPLE


def _event_of_nothing(watch: Watch, rules: Rules, now: datetime) -> Event:
    if watch.readings < rules.readings:
        return Event.DOUBTED
    past = watch.grace_until is not None and now >= watch.grace_until
    return Event.OVERDUE if past else Event.OVER


def _remaining(watch: Watch, before: State, found: Remains, rules: Rules, now: datetime) -> Step:
    actions: list[Action] = []
    if watch.state is State.GRACE:
        # Too little to end it. Nothing is requested while anything remains.
        return Step(replace(watch, asked_at=None))
    if before in (State.GRACE, State.STOPPING):
        actions.append(EndGrace())
        watch = replace(watch, episode=watch.episode + 1)
    watch = replace(watch, over_since=None, grace_until=None, asked_at=None)
    watch = _warnings_anew(watch, found, now)
    if found.ends_at is not None:
        left = found.ends_at - now
        due = frozenset(one for one in rules.warn_before if left <= one)
        if new := due - watch.warned:
            actions.append(Warn(min(new), found.ends_at))
        watch = replace(watch, warned=watch.warned | due)
    return Step(replace(watch, allowance=found.allowance), tuple(actions))


def _warnings_anew(watch: Watch, found: Remains, now: datetime) -> Watch:
    """The watch without the warnings that are worth being given again, when it is time to."""
    given = watch.allowance is not None and found.allowance > watch.allowance
    kept = watch.warned
    if found.ends_at is None:
        kept = frozenset()
    elif given:
        kept = frozenset(one for one in kept if found.ends_at - now <= one)
    else:
        kept = frozenset(one for one in kept if found.ends_at - now < one + max(one / 2, LONGER))
    if kept == watch.warned:
        return watch
    return replace(watch, warned=kept, episode=watch.episode + 1)


def _exhausted(watch: Watch, before: State, event: Event, rules: Rules, now: datetime) -> Step:
    if event is Event.SPARED:
        ended = before in (State.GRACE, State.STOPPING)
        watch = replace(
            watch,
            over_since=None,
            grace_until=None,
            asked_at=None,
            episode=watch.episode + ended,
        )
        return Step(watch, (EndGrace(),) if ended else ())
    watch = replace(watch, over_since=watch.over_since or now)
    if watch.state is State.GRACE and before is not State.GRACE and before is not State.STOPPING:
        grace = rules.grace
        if rules.warn_before and not watch.warned:
            # It came so suddenly that there was no warning: this is it.
            grace = max(grace, min(rules.warn_before))
        watch = replace(watch, grace_until=now + grace, warned=frozenset(rules.warn_before))
        return Step(watch, (BeginGrace(now + grace),))
    if event is Event.OVERDUE and watch.state is State.STOPPING:
        if watch.asked_at is not None and now < watch.asked_at + ASKED_AGAIN:
            return Step(watch)
        return Step(replace(watch, asked_at=now), (AskStop(),))
    return Step(watch)
