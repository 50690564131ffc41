"""Switches of profiles that were requested: kept until they are done, so that a Hub that ends in
between goes on with them, or says that it did not.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, String, Table, Text, delete, insert, select

from .database import Database
from .rows import instant, stored_instant
from .schema import METADATA, OPTIONS, PREFIX

LONGEST_MESSAGE: Final = 1000
"""Characters of why a server did not start that are kept."""

SWITCHES: Final = Table(
    f"{PREFIX}switches",
    METADATA,
    Column("username", String(255), primary_key=True),
    Column("server", String(255), primary_key=True),
    Column("user_created", BigInteger),
    Column("wanted", Text, nullable=False),
    Column("wanted_name", String(255), nullable=False),
    Column("previous", Text, nullable=False),
    Column("previous_name", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("requested", BigInteger, nullable=False),
    **OPTIONS,
)


class SwitchState(enum.StrEnum):
    """How far a switch is."""

    STOPPING = "stopping"
    STARTING = "starting"
    FAILED = "failed"
    """The server did not start; `message` says why."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A server that is to be stopped and started again with other options: `wanted`, in place of
    `previous`, each with the name of its profile. Of the user's earlier name-sakes nothing is done:
    `user_created` tells them apart.
    """

    user: str
    server: str
    user_created: datetime | None
    wanted: Mapping[str, Any]
    wanted_name: str
    previous: Mapping[str, Any]
    previous_name: str
    requested: datetime
    state: SwitchState = SwitchState.STOPPING
    message: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Of a server there is one at a time."""
        return self.user, self.server


class SwitchTable:
    """The switches in the database of a ledger. Everything raises `LedgerUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[Switch]:
        """All that are not done."""

        def work(connection: Connection) -> Sequence[Switch]:
            return [_switch(dict(row)) for row in connection.execute(select(SWITCHES)).mappings()]

        return await self._database.read(work)

    async def put(self, switch: Switch) -> None:
        """Keep a switch, in place of what was kept of the same server."""

        def work(connection: Connection) -> None:
            connection.execute(_of(switch.key))
            connection.execute(insert(SWITCHES).values(_row(switch)))

        await self._database.write(work)

    async def remove(self, switch: Switch) -> None:
        """Forget a switch that is done."""
        await self._database.write(lambda connection: _nothing(connection.execute(_of(switch.key))))


def _of(key: tuple[str, str]) -> Any:
    return delete(SWITCHES).where(SWITCHES.c.username == key[0], SWITCHES.c.server == key[1])


def _nothing(_: object) -> None:
    return None


def _row(switch: Switch) -> dict[str, Any]:
    created = switch.user_created
    return {
        "username": switch.user,
        "server": switch.server,
        "user_created": stored_instant(created) if created else None,
        "wanted": json.dumps(switch.wanted),
        "wanted_name": switch.wanted_name,
        "previous": json.dumps(switch.previous),
        "previous_name": switch.previous_name,
        "state": switch.state.value,
        "message": switch.message[:LONGEST_MESSAGE],
        "requested": stored_instant(switch.requested),
    }


def _switch(row: Mapping[str, Any]) -> Switch:
    created = row["user_created"]
    return Switch(
        user=row["username"],
        server=row["server"],
        user_created=None if created is None else instant(created),
        wanted=json.loads(row["wanted"]),
        wanted_name=row["wanted_name"],
        previous=json.loads(row["previous"]),
        previous_name=row["previous_name"],
        requested=instant(row["requested"]),
        state=SwitchState(row["state"]),
        message=row["message"],
    )
