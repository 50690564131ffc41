"""Money: exact sums, and parts that add up to the whole.

Bills have ten and more decimals. No amount is a float, and none is rounded before it is shown.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Final, TypeVar

from ..quotas.messages import wrong

Key = TypeVar("Key", bound=Hashable)

EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""More digits than sums of bills have: nothing is lost."""
ZERO: Final = Decimal(0)
LARGEST: Final = Decimal(10) ** 15
"""More is a mistake, in any currency."""
DECIMALS: Final = 20
"""Of an amount of a bill; more are noise of floating point."""
PART_DECIMALS: Final = 10
"""Of the parts that an amount is split into, but for one of them, which has the rest."""


class InvalidAmount(ValueError):
    """An amount of money that cannot be read; the message says what is expected."""


def read_amount(text: object) -> Decimal:
    """Read an amount as a bill writes it. Raises `InvalidAmount`.

    A float is read as it is written: 0.1 is a tenth.
    """
    try:
        amount = Decimal(str(text).strip())
    except InvalidOperation:
        raise InvalidAmount(wrong("no amount of money", text, "for example 12.50")) from None
    if not amount.is_finite() or abs(amount) > LARGEST:
        raise InvalidAmount(wrong("no amount of money", text, f"at most {LARGEST:f}"))
    if -int(amount.as_tuple().exponent) > DECIMALS:
        return amount.quantize(Decimal(1).scaleb(-DECIMALS), context=EXACT)
    return amount


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    found = ZERO
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found


def split(amount: Decimal, weights: Sequence[int]) -> list[Decimal]:
    """Split an amount into parts in proportion to weights, which are not negative and not all zero.

    The parts add up to the amount exactly: each is rounded down to `PART_DECIMALS`, what is left
    goes to those that lost most (the first of them, where several did), and what is smaller still
    to the largest part.
    """
    parts, smaller, largest = split_units(amount, weights)
    made = [EXACT.scaleb(Decimal(part), -PART_DECIMALS) for part in parts]
    if smaller:
        made[largest] = EXACT.add(made[largest], smaller)
    return made


def split_units(amount: Decimal, weights: Sequence[int]) -> tuple[list[int], Decimal, int]:
    """The same parts in units of the last of `PART_DECIMALS`, what is smaller still, and the place
    of the part that has it.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError(
            wrong("cannot be split by", list(weights), "weights that are not negative")
        )
    sign = -1 if amount < 0 else 1
    units = int(EXACT.scaleb(abs(amount), PART_DECIMALS))
    parts, lost = [], []
    for weight in weights:
        part, remainder = divmod(units * weight, whole)
        parts.append(part)
        lost.append(remainder)
    for index in _largest(lost, units - sum(parts)):
        parts[index] += 1
    smaller = EXACT.subtract(amount, EXACT.scaleb(Decimal(sign * units), -PART_DECIMALS))
    largest = parts.index(max(parts)) if units else weights.index(max(weights))
    return [sign * part for part in parts], smaller, largest


def rounded(parts: Mapping[Key, Decimal], decimals: int) -> dict[Key, Decimal]:
    """Round parts so that they add up to their sum, rounded.

    Each differs from what it is by less than one of the last decimal.
    """
    step = Decimal(1).scaleb(-decimals)
    down = {key: part.quantize(step, ROUND_FLOOR, EXACT) for key, part in parts.items()}
    whole = total(parts.values()).quantize(step, ROUND_HALF_EVEN, EXACT)
    missing = int(EXACT.divide(EXACT.subtract(whole, total(down.values())), step))
    keys = list(parts)
    lost = [EXACT.subtract(parts[key], down[key]) for key in keys]
    for index in _largest(lost, missing):
        down[keys[index]] = EXACT.add(down[keys[index]], step)
    return down


def _largest(values: Sequence[int] | Sequence[Decimal], number: int) -> list[int]:
    """The places of the so many largest values; the first where several are as large."""
    if number <= 0:
        return []
    return sorted(range(len(values)), key=lambda index: -values[index])[:number]
