"""FOCUS files: the bill of any cloud that exports it in that format, as CSV or Parquet.

A row there is a charge of a period. It counts on the day on which its period begins.
Format: https://focus.finops.org/focus-specification/ (1.0 to 1.4)
"""

from __future__ import annotations

import asyncio
import csv
import datetime
import glob
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ...quotas.messages import shown, wrong
from ..components import Tagging
from ..money import EXACT, ZERO, InvalidAmount, read_amount
from ..months import month_of
from ..values import CostRow
from .base import DAY, Bill, CostsUnknown, Date, SourceState

NAME: Final = "focus"
SETTLES: Final = 7 * DAY
"""After the end of a billing period, until its charges are taken to be final."""
NEEDED: Final = ("BillingCurrency", "ChargePeriodStart", "ChargeCategory", "ServiceName")
MOST_CHARACTERS: Final = 1024 * 1024
"""Of a field."""
PREFIXES: Final = ("user:", "resourceTags/user:")
"""What exports put before the keys of tags."""

Record = Mapping[str, Any]
At = tuple[Date, str | None, str, str, str, bool]


class FocusFiles:
    """The bill in files, whose paths are patterns; see `CostSource`."""

    name = NAME
    asks_little = False

    def __init__(
        self,
        files: Sequence[str],
        tagging: Tagging,
        *,
        cost: str = "BilledCost",
        today: Callable[[], Date],
    ) -> None:
        self._files, self._tagging, self._cost, self._today = files, tagging, cost, today

    async def days(self, since: Date, until: Date) -> Bill:
        """See `CostSource`."""
        return await asyncio.to_thread(self._read, since, until)

    async def aclose(self) -> None:
        """See `CostSource`."""

    def _read(self, since: Date, until: Date) -> Bill:
        paths = sorted({path for one in self._files for path in glob.glob(one, recursive=True)})
        if not paths:
            expected = "files of a FOCUS export"
            missing = wrong("no such file", list(self._files), expected)
            raise CostsUnknown(SourceState.NOT_READY, missing)
        sums: dict[At, Decimal] = {}
        first, last = Date.max, Date.min
        for path in paths:
            try:
                for record in _records(Path(path)):
                    day, row = self._row(record)
                    first, last = min(first, day), max(last, day)
                    if since <= day < until:
                        at = (day, *row[:-1])
                        sums[at] = EXACT.add(sums.get(at, ZERO), row[-1])
            except (OSError, ValueError, KeyError, csv.Error) as error:
                what = f"{path}: {type(error).__name__}: {shown(str(error))}"
                raise CostsUnknown(SourceState.BAD_ANSWER, what) from None
        rows = [
            CostRow(day, hub, component, amount, currency, final, service)
            for (day, hub, component, currency, service, final), amount in sums.items()
        ]
        estimated = {row.day for row in rows if not row.final}
        day, days = max(first, since), {}
        while day < until and day <= last:
            days[day] = day not in estimated
            day += DAY
        if rows and all(row.hub is None for row in rows):
            why = "no charge in the files has a tag of the cluster"
            return Bill(rows, days, SourceState.TAGS_NOT_ACTIVE, why)
        return Bill(rows, days)

    def _row(self, record: Record) -> tuple[Date, tuple[Any, ...]]:
        if missing := [name for name in (*NEEDED, self._cost) if name not in record]:
            raise ValueError(f"has no column {missing[0]}")
        day = _date(record["ChargePeriodStart"])
        ends = record.get("BillingPeriodEnd")
        # Until the period is over and settled, charges may still change.
        over = _date(ends) if ends else month_of(day).until
        final = self._today() >= over + SETTLES
        tags, service = tags_of(record.get("Tags")), str(record["ServiceName"] or "")
        hub = self._tagging.hub_of(tags)
        kind = str(record["ChargeCategory"])
        component = kind
        if kind == "Usage" or hub is not None:
            category = str(record.get("ServiceCategory") or "")
            component = self._tagging.component_of(service, category, tags)
        amount = read_amount(record[self._cost])
        return day, (hub, component, str(record["BillingCurrency"]), service, final, amount)


def tags_of(given: Any) -> Mapping[str, str]:
    """Tags, however a cloud writes them: a map, JSON with braces or without, a list of pairs."""
    if isinstance(given, str):
        text = given.strip()
        if text and not text.startswith(("{", "[")):
            text = "{" + text + "}"
        try:
            given = json.loads(text) if text else {}
        except ValueError:
            raise InvalidAmount(wrong("Tags cannot be read", given, "JSON")) from None
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(given, Mapping):
        pairs = given.items()
    elif isinstance(given, list | tuple):
        pairs = (_pair(one) for one in given)
    return {_key(str(key)): str(value) for key, value in pairs if value is not None}


def _pair(one: Any) -> tuple[Any, Any]:
    if isinstance(one, Mapping):
        return one.get("key", one.get("Key")), one.get("value", one.get("Value"))
    key, value = one
    return key, value


def _key(key: str) -> str:
    for prefix in PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _date(value: Any) -> Date:
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return aware.astimezone(datetime.UTC).date()
    if isinstance(value, datetime.date):
        return value
    return datetime.date.fromisoformat(str(value).strip()[:10])


def _records(path: Path) -> Iterator[Record]:
    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    csv.field_size_limit(MOST_CHARACTERS)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _parquet(path: Path) -> Iterator[Record]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 an extra
    except ImportError:
        need = "this package to be installed with its extra [focus], or an export as CSV"
        missing = wrong("Parquet needs pyarrow", str(path), need)
        raise CostsUnknown(SourceState.FAILED, missing) from None
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()
