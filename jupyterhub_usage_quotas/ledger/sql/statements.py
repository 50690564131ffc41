"""What the ledger reads and writes, each in a transaction that its caller has begun."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from ...errors import AlreadyVoided, InvalidAdjustment, KeyReused, UnknownAdjustment
from ...quotas.adjustments import Adjustment, Voided
from ..base import Check
from ..entries import another_request, unknown_adjustment, voided_before
from .rows import (
    FIRST,
    VOID,
    Chain,
    ChainReport,
    Noted,
    Row,
    adjustment_of,
    hash_of,
    instant,
    row_of,
    row_of_voiding,
    stored_instant,
    voided_of,
)
from .schema import ENTRIES

Clock = Callable[[], datetime]
NAMES_AT_ONCE: Final = 500
"""Of users in a statement: databases have limits, and for more all rows are read as fast."""
LARGEST_NUMBER: Final = 2**63 - 1
ROWS_AT_ONCE: Final = 1000

_LAST: Final = select(ENTRIES.c.id, ENTRIES.c.hash).order_by(ENTRIES.c.id.desc()).limit(1)
_VOIDINGS: Final = ENTRIES.alias("voidings")
_OWN: Final = [column.label(f"own_{column.name}") for column in ENTRIES.columns]
_OTHERS: Final = [column.label(f"voiding_{column.name}") for column in _VOIDINGS.columns]


def record(
    connection: Connection, made: Sequence[Adjustment], key: str, check: Check, clock: Clock
) -> list[Adjustment]:
    """Append adjustments that were checked, or find those that this key has appended before."""
    wanted = [row_of(one) for one in made]
    if before := _answered(connection, key, wanted):
        return [adjustment_of(one) for one in before]
    check(lambda: held_by(connection, {one.user for one in made}))
    return [adjustment_of(one) for one in _append(connection, wanted, key, clock())]


def void(connection: Connection, number: int, by: Voided, key: str, check: Check) -> Adjustment:
    """Append a voiding, or find the one that this key has appended before."""
    found = _entry(connection, number) if 0 < number <= LARGEST_NUMBER else None
    if found is None or found["kind"] == VOID:
        _answered(connection, key, [])
        raise UnknownAdjustment(unknown_adjustment(number))
    wanted = row_of_voiding(found, by)
    if before := _answered(connection, key, [wanted]):
        return adjustment_of(found, voided_of(before[0]))
    if earlier := _voiding_of(connection, number):
        raise AlreadyVoided(voided_before(number, voided_of(earlier)))
    check(lambda: [adjustment_of(found)])
    (written,) = _append(connection, [wanted], key, by.at)
    return adjustment_of(found, voided_of(written))


def held_by(connection: Connection, users: Collection[str | None]) -> list[Adjustment]:
    """All adjustments of these users that are not voided, past ones included; None is everyone."""
    return list(_adjustments(connection, _about(users), _VOIDINGS.c.id.is_(None)))


def in_force(
    connection: Connection, names: Collection[str] | None, at: datetime | None
) -> Iterator[Adjustment]:
    """The adjustments that are not voided, and not over at an instant, of users by their names and
    of everyone; None for all users, and for any time.
    """
    conditions: list[ColumnElement[bool]] = [_VOIDINGS.c.id.is_(None)]
    if at is not None:
        conditions.append(ENTRIES.c.ends > stored_instant(at))
    if names is not None and len(names) <= NAMES_AT_ONCE:
        conditions.append(_about({*names, None}))
    return _adjustments(connection, *conditions)


def page_before(
    connection: Connection, names: Collection[str] | None, before: int, limit: int
) -> list[Adjustment]:
    """At most `limit` adjustments with ids below `before`, the newest first."""
    conditions: list[ColumnElement[bool]] = [ENTRIES.c.id < min(before, LARGEST_NUMBER)]
    if names is not None and len(names) <= NAMES_AT_ONCE:
        conditions.append(_about(names))
    rows = _with_voidings(*conditions).order_by(ENTRIES.c.id.desc()).limit(limit)
    return [_adjustment(row) for row in connection.execute(rows).mappings()]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a ledger was read: up to `whole` without a gap, and the entries `beyond` it.

    There are gaps only where somebody else than us writes: two transactions whose numbers are not
    in the order of their commits.
    """

    whole: int = 0
    beyond: frozenset[int] = frozenset()

    @property
    def last(self) -> int:
        """The highest number that was read."""
        return max(self.whole, *self.beyond) if self.beyond else self.whole

    def after(self, numbers: Collection[int]) -> Position:
        """The position once these were read, too."""
        known, whole = self.beyond.union(numbers), self.whole
        while whole + 1 in known:
            whole += 1
        return Position(whole, frozenset(one for one in known if one > whole))


def newest(connection: Connection) -> int:
    """The number of the newest entry; 0 where there is none."""
    return connection.execute(select(func.max(ENTRIES.c.id))).scalar() or 0


def numbers_by_kind(connection: Connection) -> dict[str, int]:
    """How many entries there are of each kind, voidings included."""
    rows = select(ENTRIES.c.kind, func.count()).group_by(ENTRIES.c.kind)
    return {str(kind): int(number) for kind, number in connection.execute(rows)}


def position(connection: Connection) -> Position:
    """The position of somebody who is about to read all."""
    following = ENTRIES.alias("following")
    ends = (
        select(func.min(ENTRIES.c.id))
        .outerjoin(following, following.c.id == ENTRIES.c.id + 1)
        .where(following.c.id.is_(None))
    )
    whole = connection.execute(ends).scalar() or 0
    beyond = connection.execute(select(ENTRIES.c.id).where(ENTRIES.c.id > whole)).scalars()
    return Position(whole, frozenset(beyond))


def entries_beyond(connection: Connection, read: Position) -> list[Row]:
    """The entries, voidings included, that were not read up to this position, in their order."""
    rows = select(ENTRIES).where(ENTRIES.c.id > read.whole).order_by(ENTRIES.c.id)
    found = connection.execute(rows).mappings()
    return [dict(row) for row in found if row["id"] not in read.beyond]


def rows_after(connection: Connection, number: int, limit: int) -> list[Row]:
    """At most `limit` entries, voidings included, with numbers above this one, in their order."""
    rows = select(ENTRIES).where(ENTRIES.c.id > number).order_by(ENTRIES.c.id).limit(limit)
    return [dict(row) for row in connection.execute(rows).mappings()]


def copy(connection: Connection, rows: Sequence[Row]) -> int:
    """Append the entries of another ledger as they are, and return how many were not there yet.

    Raises `InvalidAdjustment` unless the ledger is empty, or holds the first of these entries.
    """
    last = connection.execute(_LAST).first()
    held = last.id if last else 0
    if held > len(rows) or (last and rows[held - 1]["hash"] != last.hash):
        raise InvalidAdjustment(["the ledger has other entries; copy into one that has none"])
    for begin in range(held, len(rows), ROWS_AT_ONCE):
        connection.execute(ENTRIES.insert(), list(rows[begin : begin + ROWS_AT_ONCE]))
    return len(rows) - held


def verify(connection: Connection, noted: Noted | None) -> ChainReport:
    """Look at all entries, from the first to the last."""
    chain = Chain(noted)
    rows = select(ENTRIES).order_by(ENTRIES.c.id).execution_options(yield_per=ROWS_AT_ONCE)
    for row in connection.execute(rows).mappings():
        if why := chain.follow(row):
            return ChainReport(chain.entries, chain.head, row["id"], why)
    if why := chain.end():
        return ChainReport(chain.entries, chain.head, chain.entries + 1, why)
    return ChainReport(chain.entries, chain.head)


def _append(
    connection: Connection, wanted: Sequence[Row], key: str, at: datetime
) -> list[dict[str, Any]]:
    found = connection.execute(_LAST).first()
    number, before = (found.id, found.hash) if found else (0, FIRST)
    written = []
    for place, row in enumerate(wanted):
        number += 1
        full = {
            **row,
            "id": number,
            "created": stored_instant(at),
            "request_key": key or None,
            "request_position": place,
        }
        before = full["hash"] = hash_of(full, before)
        written.append(full)
    if written:
        connection.execute(ENTRIES.insert(), written)
    return written


def _answered(connection: Connection, key: str, wanted: Sequence[Row]) -> list[Row]:
    """The entries of the request that had this key; raises `KeyReused` if that was another."""
    if not key:
        return []
    rows = select(ENTRIES).where(ENTRIES.c.request_key == key)
    found: list[Row] = [dict(one) for one in connection.execute(rows).mappings()]
    found.sort(key=lambda one: int(one["request_position"]))
    if found and [{name: one[name] for name in _row_names(one)} for one in found] != list(wanted):
        starts = found[0]["starts"]
        raise KeyReused(another_request(key), None if starts is None else instant(starts))
    return found


def _row_names(row: Row) -> list[str]:
    """The columns of an entry that a request says."""
    ours = {"id", "created", "request_key", "request_position", "hash"}
    return [name for name in row if name not in ours]


def _entry(connection: Connection, number: int) -> Row | None:
    row = connection.execute(select(ENTRIES).where(ENTRIES.c.id == number)).mappings().first()
    return None if row is None else dict(row)


def _voiding_of(connection: Connection, number: int) -> Row | None:
    row = connection.execute(select(ENTRIES).where(ENTRIES.c.voids == number)).mappings().first()
    return None if row is None else dict(row)


def _with_voidings(*conditions: ColumnElement[bool]) -> Select[Any]:
    joined = ENTRIES.outerjoin(_VOIDINGS, _VOIDINGS.c.voids == ENTRIES.c.id)
    rows = select(*_OWN, *_OTHERS).select_from(joined)
    return rows.where(ENTRIES.c.kind != VOID, *conditions)


def _adjustments(connection: Connection, *conditions: ColumnElement[bool]) -> Iterator[Adjustment]:
    rows = _with_voidings(*conditions).order_by(ENTRIES.c.id)
    found = connection.execute(rows.execution_options(yield_per=ROWS_AT_ONCE))
    return map(_adjustment, found.mappings())


def _adjustment(row: Row) -> Adjustment:
    own = {column.name: row[f"own_{column.name}"] for column in ENTRIES.columns}
    if row["voiding_id"] is None:
        return adjustment_of(own)
    voiding = {column.name: row[f"voiding_{column.name}"] for column in ENTRIES.columns}
    return adjustment_of(own, voided_of(voiding))


def _about(users: Collection[str | None]) -> ColumnElement[bool]:
    names = [one for one in users if one is not None]
    of_some = ENTRIES.c.username.in_(names)
    return or_(of_some, ENTRIES.c.username.is_(None)) if None in users else of_some
