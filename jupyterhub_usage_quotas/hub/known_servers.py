"""The servers that the Hub's database knows, whether they run or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyterhub import orm
from sqlalchemy import Text, literal_column

from ..errors import DatabaseUnreadable, ServersUnknown
from ..metering.pod_names import PodName
from .database import reading


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server of a user; `pod` is what its pod is called by its own account, while it has one."""

    user: str
    name: str = ""
    user_id: int | None = None
    pod: PodName | None = None


def servers_of(db: Any) -> Iterator[KnownServer]:
    """The servers of all users in a session of the Hub's database.

    Every user has a default server, and has had one before it is in the database.
    """
    # As text: to the type of the column SQLAlchemy would say a warning, in every Hub's log.
    state = literal_column(f"{orm.Spawner.__tablename__}.state", Text)
    rows = db.query(orm.Spawner.user_id, orm.Spawner.name, state).all()
    of_users: dict[int, dict[str, PodName | None]] = {}
    for user_id, name, text in rows:
        of_users.setdefault(user_id, {})[name or ""] = _pod(json.loads(text or "{}"))
    for user_id, user in db.query(orm.User.id, orm.User.name):
        for name, pod in ({"": None} | of_users.get(user_id, {})).items():
            yield KnownServer(user, name, user_id, pod)


def _pod(state: Any) -> PodName | None:
    """The pod that KubeSpawner wrote down: after an upgrade it may be called otherwise than now."""
    name, namespace = ((state or {}).get(key) for key in ("pod_name", "namespace"))
    return (str(namespace), str(name)) if name and namespace else None


def servers_in_file(db_url: str) -> list[KnownServer]:
    """The same from the URL of the database, for who is not the Hub. Raises `ServersUnknown`."""
    try:
        with reading(db_url) as session:
            return list(servers_of(session))
    except DatabaseUnreadable as error:
        raise ServersUnknown(f"{error} (pods are identified by the servers in it)") from error
