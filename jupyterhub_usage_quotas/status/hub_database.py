"""Read-only access to the Hub's database: its users, groups and servers.

The Hub passes its own session; other processes open one with `reading`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyterhub import orm
from sqlalchemy import Text, bindparam, create_engine, literal_column, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, selectinload

from ..errors import DatabaseUnreadable, PodOwnersUnknown
from ..metering.client.promql import Users
from ..metering.kubespawner.pods import KnownServer
from ..metering.sources.pod_names import PodName
from ..quotas.policy.patterns import cannot_be_written
from ..quotas.policy.policy import Policy
from ..quotas.subject import Subject, in_utc
from .members import Members

DB_URL = "sqlite:///jupyterhub.sqlite"
"""JupyterHub's default."""
SQLITE = "sqlite:///"
USERS_AT_A_TIME = 200
FEW = 500
"""So many users are named in a query; any database takes so many parameters."""


@contextmanager
def reading(db_url: str) -> Iterator[Session]:
    """A session of the database at this URL, as `c.JupyterHub.db_url` has it.

    Raises `DatabaseUnreadable`, also for what goes wrong while the session is used.
    """
    path = Path(db_url.removeprefix(SQLITE))
    if db_url.startswith(SQLITE) and not path.is_file():
        # To connect would make one.
        raise DatabaseUnreadable(
            f"there is no database of the Hub at {path.absolute()}: run this where the Hub runs"
        )
    try:
        engine = create_engine(db_url)
        try:
            with Session(engine) as session:
                yield session
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        # Not with the text: there may be a password in it.
        kind = type(error).__name__
        raise DatabaseUnreadable(f"the Hub's database could not be read: {kind}") from error


def subjects_in(session: Session) -> list[Subject]:
    """All users, in the order of their names."""
    users = session.query(orm.User).options(selectinload(orm.User.groups)).order_by(orm.User.name)
    return [_subject(one) for one in users]


@dataclass(frozen=True, slots=True)
class UserInHub:
    """What a Hub's database says of one user: None where it has none of this name, then with a
    name that is alike, if there is one. `members` are those of every pooled policy.
    """

    subject: Subject | None
    alike: str
    members: Members


def user_at(db_url: str, name: str, policies: Iterable[Policy]) -> UserInHub:
    """What the database at this URL says of a user. Raises `DatabaseUnreadable`."""
    with reading(db_url) as session:
        members = pool_members_in(session, policies)
        if cannot_be_written(name):
            return UserInHub(None, "", members)
        user = session.query(orm.User).filter_by(name=name).one_or_none()
        if user is not None:
            return UserInHub(_subject(user), "", members)
        names = [one for (one,) in session.query(orm.User.name)]
        alike = difflib.get_close_matches(name, names, n=1)
        # JupyterHub lowers names: an admin who writes one as on the badge means that one.
        lower = [one for one in names if one.lower() == name.lower()]
        return UserInHub(None, next(iter(lower + alike), ""), members)


def groups_in(session: Session) -> list[str]:
    """The names of all groups, with members or without."""
    return [name for (name,) in session.query(orm.Group.name).order_by(orm.Group.name)]


class KeptSubjects:
    """All users of a Hub's database, read again and again; with groups, their members only. Those
    of whom nothing changed are the same objects every time.

    They are read `USERS_AT_A_TIME`: the Hub queries its database on the event loop.
    """

    def __init__(self, groups: Collection[str] = ()) -> None:
        self._groups = frozenset(groups)
        self._known: dict[int, tuple[object, Sequence[Subject]]] = {}
        """By the id before it, what was read of a slice, and who that is."""

    def read(self, db: Session) -> Iterator[Subject]:
        """They, as they are now."""
        last, known = 0, self._known
        self._known = {}
        while True:
            some = db.execute(_USERS, {"last": last}).all()
            if not some:
                return
            span = {"last": last, "end": some[-1].id}
            read = some, db.execute(_MEMBERS, span).all()
            before = known.get(last)
            found = before[1] if before and before[0] == read else list(self._subjects(*read))
            self._known[last] = read, found
            yield from found
            last = some[-1].id

    def _subjects(self, users: Sequence[Any], members: Sequence[Any]) -> Iterator[Subject]:
        of_user: dict[int, set[str]] = {}
        for number, group in members:
            of_user.setdefault(number, set()).add(group)
        for user in users:
            theirs = frozenset(of_user.get(user.id, ()))
            if not self._groups or theirs & self._groups:
                yield Subject(user.name, theirs, bool(user.admin), in_utc(user.created))


_USERS = (
    select(orm.User.id, orm.User.name, orm.User.admin, orm.User.created)
    .where(orm.User.id > bindparam("last"))
    .order_by(orm.User.id)
    .limit(USERS_AT_A_TIME)
)
_MEMBERS = (
    select(orm.User.id, orm.Group.name)
    .join(orm.User.groups)
    .where(orm.User.id > bindparam("last"), orm.User.id <= bindparam("end"))
    .order_by(orm.User.id, orm.Group.id)
)


def subjects_by_slices(db: Session, groups: Collection[str] = ()) -> Iterator[Subject]:
    """All users of the Hub's database, or the members of groups, read once."""
    return KeptSubjects(groups).read(db)


def pool_members_in(db: Session, policies: Iterable[Policy]) -> Members:
    """The members of every pooled policy, without reading all users where few are named."""
    return {policy.name: _members(policy, db) for policy in policies if policy.pooled}


def _members(policy: Policy, db: Session) -> Users:
    if policy.for_everybody:
        return None
    scope = policy.scope
    users = db.query(orm.User)
    if not (scope.everyone or scope.admin or scope.user.globs or scope.group.globs):
        users = users.filter(
            orm.User.name.in_(scope.user.exact)
            | orm.User.groups.any(orm.Group.name.in_(scope.group.exact))
        )
    return {user.name for user in users if policy.covers(_subject(user))}


def _subject(user: orm.User) -> Subject:
    groups = frozenset(group.name for group in user.groups)
    return Subject(str(user.name), groups, bool(user.admin), in_utc(user.created))


def servers_of(db: Session) -> Iterator[KnownServer]:
    """The servers of all users in a session of the Hub's database.

    Every user has a default server, and has had one before it is in the database.
    """
    # As text: to the type of the column SQLAlchemy would say a warning, in every Hub's log.
    state = literal_column(f"{orm.Spawner.__tablename__}.state", Text)
    rows = db.query(orm.Spawner.user_id, orm.Spawner.name, state, orm.Spawner.server_id).all()
    of_users: dict[int, dict[str, tuple[PodName | None, bool]]] = {}
    for user_id, name, text, server in rows:
        pod = _pod(json.loads(text or "{}"))
        of_users.setdefault(user_id, {})[name or ""] = pod, server is not None
    for user_id, user in db.query(orm.User.id, orm.User.name):
        for name, (pod, runs) in ({"": (None, False)} | of_users.get(user_id, {})).items():
            yield KnownServer(user, name, user_id, pod, runs)


def servers_that_run(
    db: Session, users: Collection[str] | None = None
) -> Mapping[tuple[str, str], datetime | None]:
    """The servers that run as far as the Hub's database knows, of these users or of all (and of all
    if they are many), by user and name, and when they were launched.
    """
    rows = (
        db.query(orm.User.name, orm.Spawner.name, orm.Spawner.started)
        .join(orm.Spawner, orm.Spawner.user_id == orm.User.id)
        .filter(orm.Spawner.server_id.is_not(None))
    )
    if users is not None and len(users) <= FEW:
        rows = rows.filter(orm.User.name.in_(users))
    return {(user, name or ""): in_utc(started) for user, name, started in rows}


def _pod(state: Any) -> PodName | None:
    """The pod that KubeSpawner wrote down: after an upgrade it may have another name than now."""
    name, namespace = ((state or {}).get(key) for key in ("pod_name", "namespace"))
    return (str(namespace), str(name)) if name and namespace else None


def servers_at(db_url: str) -> list[KnownServer]:
    """The same from the URL of the database. Raises `PodOwnersUnknown`."""
    try:
        with reading(db_url) as session:
            return list(servers_of(session))
    except DatabaseUnreadable as error:
        raise PodOwnersUnknown(f"{error} (pods are identified by the servers in it)") from error
