"""The servers that the Hub's database knows, whether they run or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub import orm
from sqlalchemy import Text, create_engine, literal_column
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..errors import ServersUnknown
from ..metering.pod_names import PodName

DB_URL = "sqlite:///jupyterhub.sqlite"
"""JupyterHub's default."""
SQLITE = "sqlite:///"


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
    path = Path(db_url.removeprefix(SQLITE))
    if db_url.startswith(SQLITE) and not path.is_file():
        # To connect would make one.
        raise ServersUnknown(
            f"there is no database of the Hub at {path.absolute()}, and pods are identified by the"
            " servers in it: run this where the Hub runs"
        )
    try:
        engine = create_engine(db_url)
        with Session(engine) as session:
            servers = list(servers_of(session))
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        # Not with the text: there may be a password in it.
        kind = type(error).__name__
        raise ServersUnknown(f"the Hub's database could not be read: {kind}") from error
    return servers
