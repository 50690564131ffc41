"""Entries as rows of the database, and the chain of their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from ...quotas.adjustments import Adjustment, Exemption, Grant, Override, Voided
from ..entries import DECIMALS

Row = Mapping[Any, Any]
"""The values of an entry, by the name of their column."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
UNIT: Final = 10**DECIMALS
"""Of what is stored, in a base unit."""
VOID: Final = "void"
FIRST: Final = ""
"""What the first entry has in place of the hash of the one before."""
HASHED: Final = (
    "id",
    "kind",
    "policy",
    "username",
    "user_created",
    "starts",
    "ends",
    "amount",
    "voids",
    "actor",
    "reason",
    "created",
    "request_key",
    "request_position",
)


def row_of(adjustment: Adjustment) -> dict[str, Any]:
    """What is stored of an adjustment, without its number and what comes with the request."""
    kind, amount = _kind_and_amount(adjustment)
    made = adjustment.user_created
    return {
        "kind": kind,
        "policy": adjustment.policy,
        "username": adjustment.user,
        "user_created": None if made is None else stored_instant(made),
        "starts": stored_instant(adjustment.start),
        "ends": stored_instant(adjustment.until),
        "amount": amount,
        "voids": None,
        "actor": adjustment.actor,
        "reason": adjustment.reason,
    }


def row_of_voiding(voided: Row, by: Voided) -> dict[str, Any]:
    """The same of a voiding; it repeats whom and which policy it is about."""
    return {
        **dict.fromkeys(("starts", "ends", "amount")),
        **{name: voided[name] for name in ("policy", "username", "user_created")},
        "kind": VOID,
        "voids": voided["id"],
        "actor": by.actor,
        "reason": by.reason,
    }


def adjustment_of(row: Row, voided: Voided | None = None) -> Adjustment:
    """The adjustment of a row, which is no voiding."""
    made = row["user_created"]
    common = {
        "policy": row["policy"],
        "start": instant(row["starts"]),
        "until": instant(row["ends"]),
        "user": row["username"],
        "id": row["id"],
        "user_created": None if made is None else instant(made),
        "actor": row["actor"],
        "reason": row["reason"],
        "created": instant(row["created"]),
        "voided": voided,
    }
    match row["kind"]:
        case "grant":
            return Grant(**common, amount=_amount(row))
        case "override":
            return Override(**common, limit=_amount(row))
        case _:
            return Exemption(**common)


def voided_of(row: Row) -> Voided:
    """Who voids, when and why, by the row of a voiding."""
    return Voided(row["actor"], instant(row["created"]), row["reason"])


def stored_instant(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - EPOCH) // MICROSECOND


def instant(microseconds: int) -> datetime:
    """The instant, in UTC."""
    return EPOCH + microseconds * MICROSECOND


def stored_amount(base: float) -> str:
    """An amount in base units as what is stored: digits of whole units of 10**-6."""
    return str(round(Fraction(base) * UNIT))


def kind_of(adjustment: Adjustment) -> str:
    """Its kind, as it is stored."""
    return _kind_and_amount(adjustment)[0]


def _kind_and_amount(adjustment: Adjustment) -> tuple[str, str | None]:
    match adjustment:
        case Grant(amount=amount):
            return "grant", stored_amount(amount)
        case Override(limit=limit):
            return "override", stored_amount(limit)
        case _:
            return "exemption", None


def _amount(row: Row) -> float:
    # Of integers Python divides exactly, and rounds once.
    return float(int(row["amount"]) / UNIT)


def hash_of(row: Row, before: str) -> str:
    """The hash of an entry: of all that is stored of it, and the hash of the entry before."""
    told = [before, *(row[name] for name in HASHED)]
    text = json.dumps(told, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a look at all entries found: how many there are, and the hash of the last.

    `broken_at` is the id of the first entry that is not as it was written, and `why`; None where
    the chain is whole. Entries at the end that were deleted are only missed by somebody who noted
    an earlier report.
    """

    entries: int
    head: str
    broken_at: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """What somebody noted of an earlier report: how many entries there were, and the last hash."""

    entries: int
    head: str


class Chain:
    """Follows the chain, entry by entry, and compares it with what was noted of it."""

    def __init__(self, noted: Noted | None = None) -> None:
        self._noted = noted
        self.entries = 0
        self.head = FIRST

    def follow(self, row: Row) -> str:
        """Look at the next entry; returns why the chain is broken there, or an empty text."""
        if row["id"] != self.entries + 1:
            return f"the entry before it is {self.entries}: those in between are missing"
        if row["hash"] != hash_of(row, self.head):
            return "it is not as it was written, or the entry before it is not"
        if self._noted and row["id"] == self._noted.entries and row["hash"] != self._noted.head:
            return "it is another one than was noted: it, or an entry before it, was written anew"
        self.entries, self.head = row["id"], row["hash"]
        return ""

    def end(self) -> str:
        """Why the chain is broken after its last entry, or an empty text."""
        if self._noted is None or self.entries >= self._noted.entries:
            return ""
        return f"it is missing, and {self._noted.entries} entries were noted"
