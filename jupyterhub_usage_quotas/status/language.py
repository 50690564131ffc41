"""The language of a deployment: everything that users read goes through it, at the edge.

The rules return values; the code that makes texts of them takes a `Language`, and `ENGLISH` is the
one of logs and command lines. Texts are written in English where they are made, and looked up in a
gettext catalogue: `locale/` has those that come with the package, and an admin can add others or
change words in these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from gettext import NullTranslations
from typing import Any, Final

from babel import Locale
from babel.dates import get_day_names, get_month_names
from babel.numbers import get_decimal_symbol, get_group_symbol
from markupsafe import Markup, escape

from ..quotas.phrases import Phrase, mark
from ..quotas.resources import COUNTED
from ..quotas.units import TIMES, Unit, show, show_more_than

LONG: Final = mark("{weekday}, {day} {month} {year}, {time} {zone}")
SHORT: Final = mark("{day} {month_short} {year}, {time}")
SOON: Final = mark("{weekday_short} {time} {zone}")
NEAR: Final = mark("{weekday_short} {time}")
FAR: Final = mark("{day} {month_short} {time}")
DAY: Final = mark("{weekday}, {day} {month}")
DAY_IN_SHORT: Final = mark("{day} {month_short}")
"""The forms of instants. The scripts of pages fill in the same forms, in the browser's zone."""
FORMS: Final = {"long": LONG, "short": SHORT, "time": SOON, "near": NEAR, "far": FAR}


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A language: its catalogue, and how it writes numbers and dates."""

    locale: Locale
    catalogue: NullTranslations = field(default_factory=NullTranslations)

    @property
    def tag(self) -> str:
        """Its name in HTML and for browsers (BCP 47)."""
        return str(self.locale).replace("_", "-")

    # --- texts ---

    def gettext(self, text: str, /, **values: object) -> str:
        """A text, with its placeholders filled in."""
        found = self.catalogue.gettext(text) if text else ""
        return found.format(**values) if values else found

    def ngettext(self, text: str, plural: str, count: int, /, **values: object) -> str:
        """The text that suits a number, which is the value of `{count}`."""
        return self.catalogue.ngettext(text, plural, count).format(count=count, **values)

    def say(self, phrase: Phrase) -> str:
        """What the rules say of themselves."""
        values = {
            name: self.say(value) if isinstance(value, Phrase) else value
            for name, value in phrase.values.items()
        }
        if phrase.plural:
            return self.ngettext(phrase.text, phrase.plural, phrase.count, **values)
        return self.gettext(phrase.text, **values)

    @property
    def in_templates(self) -> Mapping[str, Any]:
        """`_` and `ngettext` for templates: values keep their markup, all else is escaped."""

        def translated(text: str, /, **values: object) -> Markup:
            return escape(self.gettext(text)).format(**values)

        def plural(text: str, many: str, count: int, /, **values: object) -> Markup:
            found = escape(self.catalogue.ngettext(text, many, count))
            return found.format(count=count, **values)

        return {"_": translated, "ngettext": plural}

    # --- amounts ---

    def number(self, text: str) -> str:
        """A number that is written as in English: "1,234.5"."""
        if self.locale.language == "en":
            return text
        comma, point = get_group_symbol(self.locale), get_decimal_symbol(self.locale)
        return text.translate({ord(","): comma, ord("."): point})

    def amount(self, amount: float, unit: Unit) -> str:
        """An amount in base units: see `units.show`."""
        return self._shown(show(amount, unit), amount, unit)

    def more_than(self, amount: float, unit: Unit) -> str:
        """The next amount above this one: see `units.show_more_than`."""
        return self._shown(show_more_than(amount, unit), amount, unit)

    def bare(self, amount: float, unit: Unit) -> str:
        """An amount without its unit; plain times are written as on a clock."""
        if unit.symbol in TIMES:
            return self.amount(amount, unit)
        return self.number(show(amount, unit).removesuffix(f" {unit.symbol}"))

    def part(self, amount: float, of: float, unit: Unit) -> str:
        """An amount as part of another: "168 of 100 GiB-hours"."""
        part, whole = self.bare(amount, unit), self.amount(of, unit)
        return self.gettext("{part} of {whole}", part=part, whole=whole)

    def _shown(self, text: str, amount: float, unit: Unit) -> str:
        if unit.symbol in TIMES:
            return self.seconds(amount)
        number = text.removesuffix(f" {unit.symbol}")
        return f"{self.number(number)} {self.unit(unit.symbol, _count(number))}"

    def unit(self, symbol: str, count: int = 2) -> str:
        """A unit after a number: "GiB-hours", and "GiB-hour" after 1; "hours" alone, too."""
        if symbol in COUNTED:
            return self.ngettext(*COUNTED[symbol], count)
        what, _, time = symbol.rpartition("-")
        if time not in TIMES:
            return symbol
        said = self._time(time, count)
        return f"{what}-{said}" if what else said

    def _time(self, unit: str, count: int) -> str:
        match unit:
            case "seconds":
                return self.ngettext("second", "seconds", count)
            case "minutes":
                return self.ngettext("minute", "minutes", count)
            case "hours":
                return self.ngettext("hour", "hours", count)
            case "days":
                return self.ngettext("day", "days", count)
            case _:
                return self.ngettext("week", "weeks", count)

    def duration(self, duration: timedelta) -> str:
        """A duration: "18h 30m"."""
        return self.seconds(duration.total_seconds())

    def seconds(self, amount: float) -> str:
        """The same for a number of seconds, however large."""
        seconds = abs(round(amount))
        sign = "-" if amount < 0 and seconds else ""
        if seconds < TIMES["minutes"]:
            return sign + self.gettext("{count}s", count=seconds)
        hours, minutes = divmod(round(seconds / TIMES["minutes"]), 60)
        parts = [self.gettext("{count}h", count=hours)] if hours else []
        if minutes:
            parts.append(self.gettext("{count}m", count=minutes))
        return sign + " ".join(parts)

    def count(self, amount: float, unit: Unit) -> int:
        """The number that decides whether a shown amount is one thing or several."""
        if unit.symbol in TIMES:
            shown = self.seconds(amount)
            return 1 if shown in {self.gettext(one, count=1) for one in CLOCK} else 2
        return _count(show(amount, unit).partition(" ")[0])

    # --- dates ---

    def instant(self, at: datetime, form: str, **more: object) -> str:
        """An instant in its own time zone, in one of the forms above."""
        days, months = self._days, self._months
        return self.gettext(
            form,
            weekday=days("wide")[at.weekday()],
            weekday_short=days("abbreviated")[at.weekday()],
            day=at.day,
            month=months("wide")[at.month],
            month_short=months("abbreviated")[at.month],
            year=at.year,
            time=f"{at:%H:%M}",
            zone=at.tzname(),
            **more,
        )

    def _days(self, width: str) -> Mapping[int, str]:
        return get_day_names(width, "format", self.locale)  # type: ignore[arg-type]

    def _months(self, width: str) -> Mapping[int, str]:
        return get_month_names(width, "format", self.locale)  # type: ignore[arg-type]


CLOCK: Final = ("{count}s", "{count}m", "{count}h")


def _count(number: str) -> int:
    """The whole number that a text shows; 2, which is several, for any other."""
    value = float(number.replace(",", ""))
    return int(value) if math.isfinite(value) and value == int(value) else 2


ENGLISH: Final = Language(Locale("en", "GB"))
"""As texts are written where they are made."""
