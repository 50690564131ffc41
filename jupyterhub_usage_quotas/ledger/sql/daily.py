"""The tables of daily usage and daily costs, beside the ledger in its database.

They are no decisions: a day that is read again is replaced, and old days are deleted. How often one
was `restated`, that is replaced by something else, is counted beside it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Date, Index, Integer, String, Table, Text

from .schema import METADATA, NUMBER, OPTIONS, PREFIX

LONGEST_NAME: Final = 255

USAGE_DAYS: Final = Table(
    f"{PREFIX}usage_days",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("hub", String(LONGEST_NAME), primary_key=True),
    # How completely the source was seen, in millionths.
    Column("coverage", Integer, nullable=False),
    Column("read_at", BigInteger, nullable=False),
    Column("restated", Integer, nullable=False),
    **OPTIONS,
)
"""The days that are kept: one on which nobody used anything has no other row."""

DAILY_USAGE: Final = Table(
    f"{PREFIX}daily_usage",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("day", Date, nullable=False),
    Column("hub", String(LONGEST_NAME), nullable=False),
    Column("username", String(LONGEST_NAME), nullable=False),
    Column("kind", String(LONGEST_NAME), nullable=False),
    Column("resource", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Index(None, "day", "hub"),
    Index(None, "username", "day"),
    **OPTIONS,
)
"""What each user used on a day, by kind of server (its profile) and resource, in whole units."""

COST_DAYS: Final = Table(
    f"{PREFIX}cost_days",
    METADATA,
    Column("source", String(32), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("final", Integer, nullable=False),
    Column("read_at", BigInteger, nullable=False),
    Column("restated", Integer, nullable=False),
    **OPTIONS,
)
"""The days of which a source said what they cost: one on which nothing did has no other row."""

DAILY_COSTS: Final = Table(
    f"{PREFIX}daily_costs",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("source", String(32), nullable=False),
    Column("day", Date, nullable=False),
    # NULL for what is not the cluster's, empty for what is no one hub's.
    Column("hub", String(LONGEST_NAME)),
    Column("component", String(LONGEST_NAME), nullable=False),
    Column("service", String(LONGEST_NAME), nullable=False),
    # Exact, as decimal digits: nothing is added up in SQL.
    Column("amount", String(60), nullable=False),
    Column("currency", String(16), nullable=False),
    Column("final", Integer, nullable=False),
    Index(None, "day", "source"),
    **OPTIONS,
)
"""The rows of bills."""

MEMBERSHIPS: Final = Table(
    f"{PREFIX}memberships",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=True),
    Column("hub", String(LONGEST_NAME), nullable=False),
    Column("username", String(LONGEST_NAME), nullable=False),
    Column("since", Date, nullable=False),
    # A list of names in JSON.
    Column("groups", Text, nullable=False),
    Index(None, "hub", "username", "since", unique=True),
    **OPTIONS,
)
"""The groups of users, from the day on from which they were those."""
