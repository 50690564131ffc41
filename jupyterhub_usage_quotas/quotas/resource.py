"""A resource: the properties of what can be limited, and how amounts of it are written."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from .messages import wrong
from .units import (
    BYTES,
    TIMES,
    InvalidQuantity,
    Quantity,
    Unit,
    bounded_quantity,
    hyphenated,
    parse_bytes,
    show,
    show_more_than,
    split_quantity,
    time_symbol,
)

MONTH: Final = 730.0 * TIMES["hours"]
"""Seconds of a month, as clouds count it in prices."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that can be limited.

    `amounts` maps the symbols that an amount of it can be written in (as a server asks for it:
    bytes, cores, GPUs) to the base amount; `aliases` maps other spellings, in lower case, to
    those symbols. `time` has no amount but the server itself, so its units are plain times.
    """

    name: str
    display_name: str
    amounts: Mapping[str, float]
    example: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    bare_suffixes: Mapping[str, str] = field(default_factory=dict)
    bare_unit: str = ""
    """The unit of a whole number that has none, as 2i2c's package reads it; empty where such
    numbers are refused.
    """
    bare_factors: Mapping[str, int] = field(default_factory=dict)
    """By suffix, how many of that unit a whole number with it is there."""
    bare_from: float = 0
    """The smallest such number; less was meant in another unit."""
    shown_in: tuple[str, ...] = ()
    """The symbols of `amounts` that suit amounts of any size, the smallest first; empty for the
    first of `amounts`.
    """

    over_time: bool = True
    """Whether it is an amount times a time; credits and gauges are amounts only."""
    by_server: bool = True
    """Whether usage is kept by server, so that policies can select servers."""
    is_gauge: bool = False
    """Whether it is what is there now, and not used over a window; its source may report a limit
    for each user.
    """
    bought: bool = False
    """Whether it is the price of others: their usage times their prices."""
    priced_by: str = ""
    """The option that says what others cost of it."""
    money: bool = False
    """Whether it is money, which says something to everybody, whatever limits them."""
    decimals: int = 0
    """How many decimals amounts of it have at least."""

    by_running: float = 0.0
    """How much of it every server uses just by running."""
    several: str = ""
    """Its display name where there are several of it; empty where it is not counted."""
    asked: str = ""
    """How much of it a server asks for, as a word or an example; empty where it does not ask."""
    spawner_options: tuple[str, str] | tuple[()] = ()
    """The options of spawners that ask for it: the one that guarantees it, and that for a limit."""
    docker_options: tuple[str, ...] = ()
    """The keys of Docker's host configuration that ask for it; the first that is set counts."""
    docker_set: str = ""
    """The key that lists what a container may use of it, where nothing else bounds that."""
    batch_option: str = ""
    """The option of BatchSpawner that asks for it."""
    elsewhere: str = ""
    """What it is called in options that spawners only pass on: a regular expression."""
    kubernetes: tuple[str, ...] = ()
    """Its names in Kubernetes, in requests of containers: patterns with `*` and `?`."""

    usual_price: str = ""
    """The price of one `priced_unit` in dollars, as large clouds list it: what it weighs beside
    others where nobody says what it costs.
    """

    freeing: str = ""
    """The advice to users who must free some of it."""

    @property
    def daily_unit(self) -> float:
        """The base units in one unit of daily usage, of which only whole ones are kept."""
        return float(2**20) if self.in_bytes else 1e-3

    @property
    def priced_unit(self) -> tuple[str, float]:
        """What has a price: its name, and how many base units (of a gauge: times seconds) it is."""
        if self.is_gauge:
            return ("GB-month", 1e9 * MONTH) if self.in_bytes else (f"{self.name}-month", MONTH)
        if self.in_bytes:
            return "GiB-hour", 2.0**30 * TIMES["hours"]
        return f"{next(iter(self.amounts)) or 'server'}-hour", float(TIMES["hours"])

    @property
    def in_a_sentence(self) -> str:
        """Its display name inside a sentence: "memory", "CPU", "server time"."""
        name = self.display_name
        return name if name.isupper() else name[:1].lower() + name[1:]

    def unit(self, text: str) -> Unit:
        """Read a unit, for example "GiB-hours".

        Raises `InvalidQuantity` when it does not measure this resource.
        """
        if not self.over_time:
            symbol = self._amount_symbol(text.strip())
            if symbol is None:
                raise self._refused(f"not a unit of {self.name}", text)
            return Unit(symbol, self.amounts[symbol], self.decimals)
        words = hyphenated(text)
        if words in self.bare_suffixes:
            words = self.bare_suffixes[words]
        amount, _, time = words.rpartition("-")
        canonical_amount = self._amount_symbol(amount)
        canonical_time = time_symbol(time)
        if canonical_amount is None or canonical_time is None:
            raise self._refused(f"not a unit of {self.name}", text)
        symbol = f"{canonical_amount}-{canonical_time}" if canonical_amount else canonical_time
        return Unit(symbol, self.amounts[canonical_amount] * TIMES[canonical_time])

    def _refused(self, what: str, text: str) -> InvalidQuantity:
        return InvalidQuantity(wrong(what, text, f"for example {self.example!r}"))

    @property
    def usual_unit(self) -> Unit:
        """The unit of the example."""
        return self.quantity(self.example).unit

    def quantity(self, text: str) -> Quantity:
        """Read a quantity, for example "1000 GiB-hours". Raises `InvalidQuantity`."""
        number, unit = split_quantity(text)
        if not unit:
            if number == 0:
                return Quantity(0.0, self.usual_unit)
            raise self._refused("has no unit and could be misread", text)
        return bounded_quantity(number, self.unit(unit), text)

    def _amount_symbol(self, text: str) -> str | None:
        spellings = {symbol.lower(): symbol for symbol in self.amounts} | dict(self.aliases)
        return spellings.get(text.lower())

    def fitting_unit(self, amount: float) -> Unit:
        """The largest unit to show an amount in of which there is at least one."""
        symbols = self.shown_in or tuple(self.amounts)[:1]
        fitting = [one for one in symbols if abs(amount) >= self.amounts[one]] or symbols[:1]
        return Unit(fitting[-1], self.amounts[fitting[-1]], self.decimals)

    def show(self, amount: float) -> str:
        """An amount of it (not times a time), in the unit that suits it: "1.5 GiB"."""
        return show(amount, self.fitting_unit(amount))

    def show_more_than(self, amount: float) -> str:
        """See `units.show_more_than`, in the unit that suits it."""
        return show_more_than(amount, self.fitting_unit(amount))

    @property
    def in_bytes(self) -> bool:
        """Whether amounts of it are bytes."""
        return self.amounts == BYTE_AMOUNTS

    def amount(self, text: str) -> float:
        """Read how much of it a server asks for: "8GiB" of memory, "1.5" cores, in base amounts.

        Raises `InvalidQuantity`.
        """
        if self.in_bytes:
            return parse_bytes(text)
        number, unit = split_quantity(text)
        if unit:
            raise InvalidQuantity(wrong("not a number", text))
        return number

    def is_called(self, name: str) -> bool:
        """Whether Kubernetes means it by the name of a resource, or kube-state-metrics by what that
        makes of it: "nvidia_com_mig_1g_5gb" of "nvidia.com/mig-1g.5gb".
        """
        return is_called(name, self.kubernetes)


BYTE_AMOUNTS: Mapping[str, float] = MappingProxyType({one: float(by) for one, by in BYTES.items()})


def is_called(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of these patterns is of a resource that Kubernetes or kube-state-metrics calls
    by this name.
    """
    return any(
        fnmatch.fnmatchcase(name, pattern)
        or fnmatch.fnmatchcase(name, re.sub(r"[^\w*?]", "_", pattern))
        for pattern in patterns
    )
