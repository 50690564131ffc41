"""Read-only access to the tables of the JupyterHub Credit Service, which are beside the Hub's own:
of its releases 0.1, and of those since 0.2, which left the older ones where they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import RowMapping, inspect, text
from sqlalchemy.orm import Session

from ..quotas.messages import printable, shown
from ..quotas.units import LARGEST_AMOUNT, LONGEST_DURATION
from .hub_database import reading

LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class StoredBalance:
    """What its tables say of the credits of a user or a project, in credits and seconds.

    `credit` is the name of the credits, `owner` the user, empty for a project's, whose name
    `project` is then; else that is the user's project, which pays first.
    """

    owner: str
    credit: str
    project: str
    balance: float
    cap: float
    value: float
    interval: float
    updated: datetime

    def at(self, instant: datetime) -> StoredBalance:
        """The same with what the credit service would have granted by then."""
        elapsed = (instant - self.updated).total_seconds()
        grants = max(elapsed // self.interval, 0)
        return replace(self, balance=min(self.balance + grants * self.value, self.cap))


@dataclass(frozen=True, slots=True)
class CreditTables:
    """What was found: `release` says whose tables they are, empty where there are none, and
    `unreadable` has a line for each row that is none.
    """

    release: str = ""
    balances: tuple[StoredBalance, ...] = ()
    unreadable: tuple[str, ...] = ()


NEWER: Final = (
    "0.2 or later",
    "SELECT user_name AS owner, name AS credit, project_name AS project, balance, cap,"
    " grant_value, grant_interval, grant_last_update FROM credits_user_values ORDER BY id",
    "SELECT '' AS owner, '' AS credit, name AS project, balance, cap,"
    " grant_value, grant_interval, grant_last_update FROM credits_project ORDER BY name",
    ("credits_user_values", "credits_project"),
)
# The older ones have no name; later ones without one are called so.
OLDER: Final = (
    "0.1",
    "SELECT name AS owner, 'default' AS credit, project_name AS project, balance, cap,"
    " grant_value, grant_interval, grant_last_update FROM user_credits ORDER BY name",
    "SELECT '' AS owner, '' AS credit, name AS project, balance, cap,"
    " grant_value, grant_interval, grant_last_update FROM project_credits ORDER BY name",
    ("user_credits", "project_credits"),
)


def credit_tables_at(db_url: str) -> CreditTables:
    """What the tables at this URL say: the newer ones, where there are rows in them. Raises
    `DatabaseUnreadable`.
    """
    with reading(db_url) as session:
        there = set(inspect(session.connection()).get_table_names())
        for release, users, projects, tables in (NEWER, OLDER):
            if there.issuperset(tables):
                found = _read(session, release, users, projects)
                if found.balances or found.unreadable:
                    return found
        return CreditTables()


def _read(session: Session, release: str, *statements: str) -> CreditTables:
    balances, unreadable = [], []
    for statement in statements:
        for row in session.execute(text(statement)).mappings():
            try:
                balances.append(_balance(row))
            except (ValueError, TypeError, OverflowError) as error:
                whose = row["owner"] or f"project {row['project']}"
                unreadable.append(printable(f"{shown(str(whose))}: {error}"))
    return CreditTables(release, tuple(balances), tuple(unreadable))


def _balance(row: RowMapping) -> StoredBalance:
    numbers = {
        name: _number(row[name], name)
        for name in ("balance", "cap", "grant_value", "grant_interval")
    }
    if not 0 < numbers["grant_interval"] <= LONGEST_DURATION.total_seconds():
        raise ValueError(f"its grant_interval is {row['grant_interval']}")
    return StoredBalance(
        _name(row["owner"]),
        _name(row["credit"]),
        _name(row["project"]),
        min(numbers["balance"], numbers["cap"]),
        numbers["cap"],
        numbers["grant_value"],
        numbers["grant_interval"],
        _instant(row["grant_last_update"]),
    )


def _name(given: object) -> str:
    if given is None:
        return ""
    if not isinstance(given, str) or len(given) > LONGEST_NAME:
        raise ValueError("a name is no text, or too long")
    return given


def _number(given: object, name: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"its {name} is no number")
    if not 0 <= given <= LARGEST_AMOUNT:
        raise ValueError(f"its {name} is {given:g}")
    return float(given)


def _instant(given: object) -> datetime:
    """An instant that is UTC without saying so; SQLite has it as a text."""
    found = datetime.fromisoformat(given) if isinstance(given, str) else given
    if not isinstance(found, datetime):
        raise TypeError("its grant_last_update is no instant")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
