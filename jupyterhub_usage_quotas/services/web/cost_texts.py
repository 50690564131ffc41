"""A month's costs in words, for a spreadsheet, and as a page of its own that can be mailed."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from babel.dates import get_month_names
from markupsafe import Markup

from ...costs.components import COMPUTE, CORE, HOME, NETWORKING, OBJECTS
from ...costs.monthly import Line, Month
from ...costs.values import IDLE_COMPONENT, Kind
from ...quotas.messages import printable
from ...quotas.phrases import mark
from ...status.language import ENGLISH, Language
from .spreadsheet import as_csv

CENT: Final = Decimal("0.01")
COMPONENTS: Final[Mapping[str, str]] = {
    COMPUTE: mark("Servers"),
    HOME: mark("Home storage"),
    CORE: mark("Core of the cluster"),
    NETWORKING: mark("Networking"),
    OBJECTS: mark("Object storage"),
    IDLE_COMPONENT: mark("Idle"),
    "": mark("Outside of the cluster"),
}
KINDS: Final[Mapping[Kind, str]] = {
    Kind.OTHERS: mark("Users of other hubs"),
    Kind.IDLE: mark("Paid for and not used"),
    Kind.SHARED: mark("Shared by all"),
    Kind.UNATTRIBUTED: mark("Not known whose"),
}
NO_GROUP: Final = mark("In no group")
NOBODY_KNOWN: Final = mark("Nobody known")
NAMED: Final = 10
"""Lines of a message: what cost most."""
STYLE: Final = Markup(
    "body{font:16px sans-serif;max-width:60em;margin:2em auto}table{border-collapse:collapse;width:"
    "100%}th,td{border-bottom:1px solid #ccc;padding:.3em;text-align:right}"
    "th:first-child{text-align:left}"
)


def money(amount: Decimal, currency: str, language: Language) -> str:
    """An amount for people: "1,234.50 USD"."""
    return f"{language.number(f'{amount.quantize(CENT):,f}')} {currency}"


def component_name(name: str, language: Language) -> str:
    """What people call a component; one of an admin's own as they call it."""
    return language.gettext(COMPONENTS[name]) if name in COMPONENTS else name


def month_name(first: datetime.date, language: Language) -> str:
    """A month in words: "October 2026"."""
    names = get_month_names("wide", "stand-alone", language.locale)
    return f"{names[first.month]} {first.year}"


def name_of(line: Line, nobody: str, language: Language) -> str:
    """Whose a line is; `nobody` is said of users and groups without a name."""
    return line.name or language.gettext(KINDS.get(line.kind, nobody))


def month_as_csv(month: Month, first: datetime.date) -> str:
    """The month for a spreadsheet: all groups, all users, and what is nobody's."""
    components = month.components
    lines = [("group", one) for one in month.groups] + [("user", one) for one in month.users]
    rows = [
        [
            f"{first:%Y-%m}",
            what,
            one.name,
            one.kind.value,
            *(float(one.amounts[name]) if name in one.amounts else None for name in components),
            float(one.total),
            one.currency,
            "" if one.final else "estimate",
        ]
        for what, one in lines
    ]
    names = [name or "not attributed" for name in components]
    header = ["month", "by", "name", "kind", *names, "total", "currency", "remark"]
    return as_csv(header, rows)


def month_as_text(month: Month, first: datetime.date, language: Language) -> str:
    """The month for a message: the bill, and the groups that cost most; of whoever sees no bill,
    their groups.
    """
    gettext = language.gettext
    said = [gettext("What {month} cost:", month=month_name(first, language))]
    if month.whole:
        bill = ", ".join(money(amount, one, language) for one, amount in month.bill.items())
        said.append(gettext("Bill: {amounts}.", amounts=bill))
    for one in month.groups[:NAMED]:
        name = printable(name_of(one, NO_GROUP, language))
        said.append(f"{name}: {money(one.total, one.currency, language)}")
    more = len(month.groups) - NAMED
    if more > 0:
        said.append(language.ngettext("and {count} more", "and {count} more", more))
    said.append(gettext("All of it is on the page Costs of the Usage Quota Dashboard."))
    return "\n".join(said)


def month_as_html(month: Month, first: datetime.date, language: Language = ENGLISH) -> str:
    """The month as a page that needs nothing else."""
    gettext = language.gettext
    title = gettext("Costs of {month}", month=month_name(first, language))
    parts = [
        Markup(
            '<!DOCTYPE html><html lang="{}"><head><meta charset="utf-8"><title>{}</title>'
            "<style>{}</style></head><body><h1>{}</h1>"
        ).format(language.tag, title, STYLE, title)
    ]
    if month.whole:
        bill = ", ".join(money(amount, one, language) for one, amount in month.bill.items())
        text = gettext("Bill: {amounts}. Each table adds up to it.", amounts=bill)
        parts.append(Markup("<p>{}</p>").format(text))
    if not month.final:
        text = gettext("Some of it is an estimate, and may change until the bill is final.")
        parts.append(Markup("<p>{}</p>").format(text))
    components = month.components
    parts += _table(gettext("Groups"), month.groups, components, NO_GROUP, language)
    parts += _table(gettext("Users"), month.users, components, NOBODY_KNOWN, language)
    return str(Markup("").join([*parts, Markup("</body></html>")]))


def _table(
    title: str, lines: Sequence[Line], components: Sequence[str], nobody: str, language: Language
) -> Iterable[Markup]:
    if not lines:
        return
    yield Markup("<h2>{}</h2><table><tr><th></th><th>{}</th>").format(
        title, language.gettext("Together")
    )
    for name in components:
        yield Markup("<th>{}</th>").format(component_name(name, language))
    yield Markup("</tr>")
    for one in lines:
        total = money(one.total, one.currency, language)
        yield Markup("<tr><th>{}</th><td>{}</td>").format(name_of(one, nobody, language), total)
        for name in components:
            amount = one.amounts.get(name)
            yield Markup("<td>{}</td>").format(
                "" if amount is None else language.number(f"{amount:,f}")
            )
        yield Markup("</tr>")
    yield Markup("</table>")
