"""Refilled balances: so much is given back every interval, up to a cap (a token bucket).

The balance is kept as what is *missing* from the cap. It starts at nothing, grows with usage, and
falls by `amount` at every step, but not below nothing. An `amount` of zero never comes back. What
is missing can be more than the cap: that debt is paid back before anything is available. The cap is
the policy's allowance, so this file does not know it, and what remains is the allowance less what
is missing, as for every window.

Steps are at whole multiples of `every` since the Unix epoch, or so long after each (`offset`).
Usage up to and including a step comes before the step's refill. Because of "not below nothing" the
order of events matters, so history is followed run by run. What is used and comes back in the whole
intervals of a run, or comes back between two, is worked out at once, however many steps that are.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..amounts import Amounts
from ..messages import wrong
from ..phrases import NEVER_REFILLED, OF_A_BALANCE, OF_A_FIXED_BALANCE, REFILLED, Phrase
from ..units import (
    LONGEST_DURATION,
    SMALLEST_AMOUNT,
    InvalidQuantity,
    Unit,
    bounded_quantity,
    parse_duration,
    show_days,
    whole_times,
)
from ..usage import Usage
from .base import Account, Notation, OverTime, Piece, Window, from_unix, only_keys, whole_minute

HISTORY = timedelta(days=30)
"""How far back usage is read to begin with a full balance, at least."""
FILLS = 10
"""So often a balance can be filled meanwhile. What was used before is forgotten, so that who never
has a full balance is given one so often: a tenth at most of what comes back.
"""
FARTHEST = timedelta(days=366)
"""How far back usage is read at most for that."""
AT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
SHORTEST = timedelta(minutes=1)
REFILLS_PLOTTED = 30


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was missing right after the step of this number, and what was used since."""

    step: int
    missing: float


@dataclass(frozen=True, slots=True)
class Refill(OverTime):
    """A balance that gets `amount` (base units) back `every` so often."""

    amount: float
    every: timedelta
    offset: timedelta = timedelta(0)

    @property
    def reach(self) -> timedelta:
        """See `Window.reach`."""
        return max(HISTORY, 10 * self.every) if self.amount else FARTHEST

    def reach_for(self, limit: float) -> timedelta:
        """See `Window.reach_for`."""
        if not self.amount or not math.isfinite(limit):
            return self.reach
        steps = min(FILLS * limit / self.amount, FARTHEST / self.every)
        return max(self.reach, steps * self.every)

    @property
    def length(self) -> None:
        """See `Window.length`: usage counts until it is given back."""
        return

    def cannot_hold(self, limit: float) -> str:
        """See `Window.cannot_hold`: a balance that is empty must be full again in a lifetime."""
        if not self.amount:
            return ""
        # Of a limit of zero, as if it was as small as a limit can be.
        steps = max(limit, SMALLEST_AMOUNT) / self.amount
        if steps * self.every.total_seconds() <= LONGEST_DURATION.total_seconds():
            return ""
        return wrong(
            "refill is too small to fill the limit",
            expected=f"enough to fill it within {LONGEST_DURATION.days} days",
        )

    @property
    def combination(self) -> object:
        """See `Window.combination`: the amounts may differ, as limits may."""
        return ("refill", self.every, self.offset, bool(self.amount))

    @property
    def measure(self) -> object:
        """See `Window.measure`: a pool may be refilled more often than its members."""
        return "refill"

    @property
    def refilled_by(self) -> tuple[float, timedelta]:
        """See `Window.refilled_by`."""
        return self.amount, self.every

    def refilled(self, amount: float, every: timedelta) -> Refill:
        """See `Window.refilled`."""
        return replace(self, amount=amount, every=every)

    def steps_around(self, at: datetime) -> tuple[datetime, datetime]:
        """See `Window.steps_around`."""
        step = self._step_at(at.timestamp())
        return from_unix(self._at_step(step)), from_unix(self._at_step(step + 1))

    def _step_at(self, instant: float) -> int:
        """The number of the last step at or before an instant (Unix seconds)."""
        return math.floor((instant - self.offset.total_seconds()) / self.every.total_seconds())

    def _at_step(self, step: int) -> float:
        """The instant of a step."""
        return step * self.every.total_seconds() + self.offset.total_seconds()

    @property
    def short(self) -> str:
        """See `Window.short`."""
        return str(self)

    @property
    def said(self) -> Phrase:
        """See `Window.said`."""
        if not self.amount:
            return Phrase(OF_A_FIXED_BALANCE)
        count, unit = whole_times(self.every)
        return Phrase(*OF_A_BALANCE[unit], count)

    @property
    def per(self) -> Phrase:
        """See `Window.per`."""
        if not self.amount:
            return Phrase(NEVER_REFILLED)
        count, unit = whole_times(self.every)
        return Phrase(*REFILLED[unit], count)

    @property
    def phrase(self) -> str:
        """See `Window.phrase`."""
        return str(self.said)

    def combine(
        self, windows: Sequence[Window], combined: Callable[[Sequence[float]], float]
    ) -> Refill:
        """See `Window.combine`: the amounts that come back become one, as limits do.

        Not those of the policy which decides now: adjustments may have another decide later.
        """
        amounts = [one.amount for one in windows if isinstance(one, Refill)]
        return replace(self, amount=combined(amounts))

    def used(self, usage: Amounts, at: datetime) -> float:
        """What is missing from the cap at `at`, in base units."""
        if not self.amount:
            return usage.between(-math.inf, at.timestamp())
        return next(self._missing_at(usage, (at.timestamp(),)))

    def _missing_at(self, usage: Amounts, instants: Iterable[float]) -> Iterator[float]:
        """What is missing at each of some instants, which are in time order.

        The balance is full when usage begins.
        """
        every, offset = self.every.total_seconds(), self.offset.total_seconds()
        amount, runs = self.amount, iter(usage.segments())
        # `missing` is what was right after a step, and what was used since, before the following.
        step, following, missing = 0, -math.inf, 0.0
        run = next(runs, None)
        for until in instants:
            while run and run[0] < until:
                start, end, rate = run
                run = (until, end, rate) if end > until else next(runs, None)
                end = min(end, until)
                if start >= following:
                    now = math.floor((start - offset) / every)
                    missing = self.after_steps(missing, now - step)
                    step, following = now, (now + 1) * every + offset
                if end > following:
                    missing = max(missing + rate * (following - start) - amount, 0.0)
                    # Of whole intervals each adds the same, or takes it until nothing is missing.
                    whole = max(math.floor((end - offset) / every) - step - 1, 0)
                    missing = max(missing + whole * (rate * every - amount), 0.0)
                    step += 1 + whole
                    start, following = step * every + offset, (step + 1) * every + offset
                missing += rate * (end - start)
            yield self.after_steps(missing, self._step_at(until) - step)

    def after_steps(self, missing: float, steps: int) -> float:
        """What is missing after so many steps without usage."""
        return max(missing - steps * self.amount, 0.0) if steps > 0 else missing

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """See `Window.earliest`."""
        minute, every = whole_minute(after), self.every.total_seconds()
        missing = self.used(usage, minute)
        if enough(missing):
            return minute
        if not self.amount:
            return None
        # As far as anybody looks ahead, and no farther than until all has come back.
        most = min(missing / self.amount, LONGEST_DURATION.total_seconds() // every)
        steps = range(1, math.ceil(most) + 1)
        found = bisect_left(steps, x=True, key=lambda one: enough(self.after_steps(missing, one)))
        if found == len(steps):
            return None
        step = self._step_at(minute.timestamp()) + steps[found]
        return whole_minute(from_unix(self._at_step(step)))

    def exhausted(
        self, usage: Usage, rate: float, allowance: float, start: datetime, until: datetime
    ) -> datetime | None:
        """See `Window.exhausted`."""
        every, end = self.every.total_seconds(), until.timestamp()
        at, missing = start.timestamp(), self.used(usage, start)
        if not self.amount and missing < allowance:
            reached = at + (allowance - missing) / rate if rate > 0 else math.inf
            return from_unix(reached) if reached <= end else None
        while at <= end:
            if missing >= allowance:
                return from_unix(at)
            step = self._at_step(self._step_at(at) + 1)
            # At the step itself something has come back already.
            if rate > 0 and (reached := at + (allowance - missing) / rate) < step:
                return from_unix(reached) if reached <= end else None
            missing = max(missing + rate * (step - at) - self.amount, 0.0)
            if missing <= 0 and rate * every <= self.amount and rate * every < allowance:
                return None  # every interval will be like the next: it is never used up
            at = step
        return None

    def steady_until(self, usage: Amounts, at: datetime, used: float) -> datetime | None:
        """See `Window.steady_until`: until the next refill, if anything is missing."""
        if usage.end > at.timestamp():
            return at
        return self.steps_around(at)[1] if self.amount > 0 and used > 0 else None

    def account(self) -> Account:
        """See `Window.account`."""
        return _RefillAccount(self)

    def plotted_from(self, at: datetime) -> datetime:
        """See `Window.plotted_from`: some refills, and at least a day."""
        return at - min(self.reach, max(timedelta(days=1), REFILLS_PLOTTED * self.every))

    def course(self, usage: Usage, instants: Sequence[datetime]) -> list[float]:
        """See `Window.course`: what is missing, which falls with every refill."""
        return list(self._missing_at(usage, (one.timestamp() for one in instants)))

    def __str__(self) -> str:
        if not self.amount:
            return NEVER_REFILLED
        return f"refilled every {show_days(self.every).removeprefix('1 ')}"


class _RefillAccount:
    """What a pool has paid and not yet got back."""

    def __init__(self, window: Refill) -> None:
        self._window = window
        self._state: Checkpoint | None = None

    def at(self, instant: float) -> tuple[float, float, float]:
        """See `Account.at`."""
        step = self._window._step_at(instant)
        return self._missing(step), 0.0, self._window._at_step(step + 1)

    def pay(self, start: float, end: float, rate: float) -> None:
        """See `Account.pay`; within the interval that `at` was asked about last."""
        step = self._window._step_at(start)
        self._state = Checkpoint(step, self._missing(step) + rate * (end - start))

    def walk(self, start: float, end: float, rate: float, longest: float) -> Iterator[Piece]:  # noqa: ARG002 nothing leaves it between two steps
        """See `Account.walk`: step by step, and without looking anything up at each."""
        window, at = self._window, start
        step = window._step_at(start)
        missing, following = self._missing(step), window._at_step(step + 1)
        while at < end:
            stop = min(following, end) if rate or missing else end
            yield at, stop, missing, rate
            missing, at = missing + rate * (stop - at), stop
            if at == following:
                step += 1
                missing, following = max(missing - window.amount, 0.0), window._at_step(step + 1)
        self._state = Checkpoint(step, missing)

    def _missing(self, step: int) -> float:
        """What is missing right after a step, or what was paid since the last that was paid in."""
        before = self._state or Checkpoint(step, 0.0)
        return self._window.after_steps(before.missing, step - before.step)


def read_refill(value: Mapping[Any, Any], unit: Unit | None) -> Refill:
    """Read {refill: 5, every: "10 minutes"}; what comes back is in the `unit` of the limit, None
    where the limit itself has an error. With `at`, "07:00", steps are counted from that time of the
    day (UTC). Raises `InvalidQuantity`.
    """
    only_keys(value, "refill", "every", "at")
    every, amount = value.get("every"), value["refill"]
    if not isinstance(every, str):
        expected = 'a duration, for example "10 minutes"'
        if "every" not in value:
            raise InvalidQuantity(wrong("every: is missing", expected=expected))
        raise InvalidQuantity(wrong("every", every, expected))
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount >= 0:
        raise InvalidQuantity(wrong("refill", amount, "a number, 0 or more, in the limit's unit"))
    length = parse_duration(every)
    if length < SHORTEST:
        raise InvalidQuantity(wrong("every: too short", every, "at least a minute"))
    # Without the limit's unit nothing depends on the amount, which may be beyond all floats.
    base = bounded_quantity(amount, unit, amount).base if unit else float(min(amount, 1e300))
    return Refill(base, length, _offset(value.get("at", "00:00"), length))


def _offset(at: object, every: timedelta) -> timedelta:
    """How long after multiples of `every` the steps are, for one of them to be at this time."""
    found = AT.fullmatch(at) if isinstance(at, str) else None
    if found is None:
        raise InvalidQuantity(wrong("at", at, 'a time of the day in UTC, for example "07:00"'))
    return timedelta(hours=int(found[1]), minutes=int(found[2])) % every


REFILL = Notation('{refill: 5, every: "10 minutes"}', read_refill)
