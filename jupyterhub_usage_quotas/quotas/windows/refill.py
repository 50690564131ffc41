"""Refilled balances: so much is given back every interval, up to a cap (a token bucket).

The balance is kept as what is *missing* from the cap. It starts at nothing, grows with usage, and
falls by `amount` at every step, but not below nothing. What is missing can be more than the cap:
that debt is paid back before anything is available. The cap is the policy's allowance, so this
file does not know it, and what remains is the allowance less what is missing, as for every window.

Steps are at whole multiples of `every` since the Unix epoch. Usage up to and including a step
comes before the step's refill. Because of "not below nothing" the order of events matters, so
history is folded interval by interval in which something was used; a `Checkpoint` is the state
right after one, and folding on from it gives the same number to the last digit as folding from the
start. What comes back in between is worked out at once, however many steps that are.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..amounts import Amounts
from ..messages import wrong
from ..phrases import OF_A_BALANCE, REFILLED, Phrase
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
from .base import Account, Notation, OverTime, Window, from_unix, only_keys, whole_minute

HISTORY = timedelta(days=30)
"""How far back usage is read to begin with a full balance."""
SHORTEST = timedelta(minutes=1)
REFILLS_PLOTTED = 30


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was missing right after the step of this number, before which something was used."""

    step: int
    missing: float


@dataclass(frozen=True, slots=True)
class Refill(OverTime):
    """A balance that gets `amount` (base units) back `every` so often."""

    amount: float
    every: timedelta

    @property
    def reach(self) -> timedelta:
        """See `Window.reach`."""
        return max(HISTORY, 10 * self.every)

    @property
    def length(self) -> None:
        """See `Window.length`: usage counts until it is given back."""
        return

    def cannot_hold(self, limit: float) -> str:
        """See `Window.cannot_hold`: a balance that is empty must be full again in a lifetime."""
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
        return ("refill", self.every)

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
        return Refill(amount, every)

    @property
    def short(self) -> str:
        """See `Window.short`."""
        return str(self)

    @property
    def said(self) -> Phrase:
        """See `Window.said`."""
        count, unit = whole_times(self.every)
        return Phrase(*OF_A_BALANCE[unit], count)

    @property
    def per(self) -> Phrase:
        """See `Window.per`."""
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

    def fold(self, usage: Amounts, at: datetime, since: Checkpoint | None = None) -> Checkpoint:
        """The state right after the last step at or before `at` that usage came before.

        Without a checkpoint to go on from, the balance is full when usage begins.
        """
        every = self.every.total_seconds()
        last = math.floor(at.timestamp() / every)
        step, missing = (since.step, since.missing) if since else (-1, 0.0)
        for number, used in usage.by_interval(every):
            if since and number < since.step:
                continue
            if number >= last:
                break
            missing = self.after_steps(missing, number - step)
            step = number + 1
            missing = max(missing + used - self.amount, 0.0)
        return Checkpoint(step, missing)

    def after_steps(self, missing: float, steps: int) -> float:
        """What is missing after so many steps without usage."""
        return max(missing - steps * self.amount, 0.0) if steps > 0 else missing

    def used(self, usage: Amounts, at: datetime) -> float:
        """What is missing from the cap at `at`, in base units."""
        state, every = self.fold(usage, at), self.every.total_seconds()
        step = math.floor(at.timestamp() / every)
        missing = self.after_steps(state.missing, step - state.step)
        return missing + usage.between(step * every, at.timestamp())

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """See `Window.earliest`."""
        minute, every = whole_minute(after), self.every.total_seconds()
        missing = self.used(usage, minute)
        if enough(missing):
            return minute
        # As far as anybody looks ahead, and no farther than until all has come back.
        most = min(missing / self.amount, LONGEST_DURATION.total_seconds() // every)
        steps = range(1, math.ceil(most) + 1)
        found = bisect_left(steps, x=True, key=lambda one: enough(self.after_steps(missing, one)))
        if found == len(steps):
            return None
        step = math.floor(minute.timestamp() / every) + steps[found]
        return whole_minute(from_unix(step * every))

    def exhausted(
        self, usage: Usage, rate: float, allowance: float, start: datetime, until: datetime
    ) -> datetime | None:
        """See `Window.exhausted`."""
        every, end = self.every.total_seconds(), until.timestamp()
        at, missing = start.timestamp(), self.used(usage, start)
        while at <= end:
            if missing >= allowance:
                return from_unix(at)
            step = (math.floor(at / every) + 1) * every
            # At the step itself something has come back already.
            if rate > 0 and (reached := at + (allowance - missing) / rate) < step:
                return from_unix(reached) if reached <= end else None
            missing = max(missing + rate * (step - at) - self.amount, 0.0)
            if missing <= 0 and rate * every <= self.amount and rate * every < allowance:
                return None  # every interval will be like the next: it is never used up
            at = step
        return None

    def steady_until(self, usage: Amounts, at: datetime) -> datetime | None:
        """See `Window.steady_until`: until the next refill, if anything is missing."""
        if usage.end > at.timestamp():
            return at
        every = self.every.total_seconds()
        next_step = (math.floor(at.timestamp() / every) + 1) * every
        return from_unix(next_step) if self.used(usage, at) > 0 else None

    def account(self) -> Account:
        """See `Window.account`."""
        return _RefillAccount(self)

    def plotted_from(self, at: datetime) -> datetime:
        """See `Window.plotted_from`: some refills, and at least a day."""
        return at - min(self.reach, max(timedelta(days=1), REFILLS_PLOTTED * self.every))

    def course(self, usage: Usage, instants: Sequence[datetime]) -> list[float]:
        """See `Window.course`: what is missing, which falls with every refill."""
        return [self.used(usage, one) for one in instants]

    def __str__(self) -> str:
        return f"refilled every {show_days(self.every).removeprefix('1 ')}"


class _RefillAccount:
    """What a pool has paid and not yet got back."""

    def __init__(self, window: Refill) -> None:
        self._window = window
        self._every = window.every.total_seconds()
        self._state: Checkpoint | None = None

    def at(self, instant: float) -> tuple[float, float, float]:
        """See `Account.at`."""
        step = math.floor(instant / self._every)
        return self._missing(step), 0.0, (step + 1) * self._every

    def pay(self, start: float, end: float, rate: float) -> None:
        """See `Account.pay`; within the interval that `at` was asked about last."""
        step = math.floor(start / self._every)
        self._state = Checkpoint(step, self._missing(step) + rate * (end - start))

    def _missing(self, step: int) -> float:
        """What is missing right after a step, or what was paid since the last that was paid in."""
        before = self._state or Checkpoint(step, 0.0)
        return self._window.after_steps(before.missing, step - before.step)


def read_refill(value: Mapping[Any, Any], unit: Unit | None) -> Refill:
    """Read {refill: 5, every: "10 minutes"}; what comes back is in the `unit` of the limit, None
    where the limit itself has an error. Raises `InvalidQuantity`.
    """
    only_keys(value, "refill", "every")
    every, amount = value.get("every"), value["refill"]
    if not isinstance(every, str):
        expected = 'a duration, for example "10 minutes"'
        if "every" not in value:
            raise InvalidQuantity(wrong("every: is missing", expected=expected))
        raise InvalidQuantity(wrong("every", every, expected))
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
        raise InvalidQuantity(wrong("refill", amount, "a number above 0, in the unit of the limit"))
    length = parse_duration(every)
    if length < SHORTEST:
        raise InvalidQuantity(wrong("every: too short", every, "at least a minute"))
    # Without the limit's unit nothing depends on the amount, which may be beyond all floats.
    base = bounded_quantity(amount, unit, amount).base if unit else float(min(amount, 1e300))
    return Refill(base, length)


REFILL = Notation('{refill: 5, every: "10 minutes"}', read_refill)
