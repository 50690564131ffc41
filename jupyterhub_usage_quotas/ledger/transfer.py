"""Entries of a ledger as lines of JSON, to take them into another database or to read them.

A line has all that is stored of an entry, with the hash of it and of the entries before
(`rows.hash_of`): what was changed in between does not get in. https://jsonlines.org
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, ValidationError

from ..errors import InvalidAdjustment
from ..quotas.messages import Verbatim, wrong
from ..quotas.serialize import Model
from .entries import DECIMALS, checked, checked_voiding
from .sql.rows import UNIT, VOID, Chain, Row, adjustment_of, instant, stored_instant

LONGEST_LINE: Final = 100_000
"""In characters: the longest reason and names have fewer, however they are escaped."""
_AMOUNT: Final = re.compile(rf"[0-9]{{1,31}}\.[0-9]{{{DECIMALS}}}", re.ASCII)


def _is_an_amount(text: str) -> str:
    if not _AMOUNT.fullmatch(text):
        raise ValueError(wrong(got=text, expected=f"digits with {DECIMALS} decimals"))
    return text


Instant = Annotated[AwareDatetime, PlainSerializer(lambda at: at.isoformat(), return_type=str)]
Amount = Annotated[str, AfterValidator(_is_an_amount)]


class Entry(Model):
    """An entry as a line has it. Amounts are in base units; a voiding has no times and amount."""

    id: int = Field(ge=1, lt=2**63)
    kind: Literal["grant", "override", "exemption", "void"]
    policy: str
    user: str | None
    user_created: Instant | None
    start: Instant | None
    until: Instant | None
    amount: Amount | None
    voids: int | None
    actor: str
    reason: str
    created: Instant
    key: str | None = Field(max_length=200)
    position: int = Field(ge=0, lt=2**31)
    hash: str


_INSTANTS: Final = ("user_created", "start", "until", "created")
_COLUMNS: Final = {
    "user": "username",
    "start": "starts",
    "until": "ends",
    "key": "request_key",
    "position": "request_position",
}
"""The column of a field, where it has another name."""


def line_of(row: Row) -> str:
    """The line of an entry."""
    fields: dict[str, Any] = {}
    for name in Entry.model_fields:
        value = row[_COLUMNS.get(name, name)]
        if name in _INSTANTS and value is not None:
            value = instant(value)
        if name == "amount" and value is not None:
            whole, rest = divmod(int(value), UNIT)
            value = f"{whole}.{rest:0{DECIMALS}}"
        fields[name] = value
    return json.dumps(Entry(**fields).model_dump())


def read_entries(lines: Iterable[str]) -> list[Row]:
    """The entries of lines, in their order; empty lines are left out.

    Raises `InvalidAdjustment` that names the first line which is no entry, or not as it was
    written.
    """
    chain, voided, rows = Chain(), set[int](), list[Row]()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _row(line)
            why = chain.follow(row) or _why_not(row, rows, voided)
        except InvalidAdjustment as error:
            why = str(error)
        if why:
            raise InvalidAdjustment([f"line {number}: {why}"])
        rows.append(row)
    return rows


def _row(line: str) -> Row:
    """What is stored of a line."""
    if len(line) > LONGEST_LINE:
        raise InvalidAdjustment([wrong("too long", Verbatim(f"{len(line)} characters"))])
    try:
        entry = Entry.model_validate_json(line, strict=True)
    except ValidationError as error:
        raise InvalidAdjustment(list(_problems(error))) from None
    row: dict[str, Any] = {}
    for name in Entry.model_fields:
        value = getattr(entry, name)
        if isinstance(value, datetime):
            value = stored_instant(value)
        if name == "amount" and value is not None:
            value = str(int(value.replace(".", "")))
        row[_COLUMNS.get(name, name)] = value
    return row


def _problems(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False):
        where = ".".join(map(str, one["loc"]))
        yield f"{where}: {one['msg']}" if where else str(one["msg"])


def _why_not(row: Row, before: list[Row], voided: set[int]) -> str:
    """Why an entry cannot be one, although its hash is right; empty if it can."""
    if row["kind"] != VOID:
        if row["voids"] is not None or row["starts"] is None or row["ends"] is None:
            return "an adjustment has start and until, and voids nothing"
        if (row["amount"] is None) != (row["kind"] == "exemption"):
            return "a grant and an override have an amount, and an exemption has none"
        checked(replace(adjustment_of(row), id=0, created=None))
        return ""
    number = row["voids"] or 0
    if not 0 < number <= len(before) or before[number - 1]["kind"] == VOID or number in voided:
        return wrong("voids", number, "an adjustment before it that is not voided")
    voided.add(number)
    checked_voiding(row["actor"], row["reason"], instant(row["created"]))
    return ""
