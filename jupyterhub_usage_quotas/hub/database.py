"""Reading the Hub's database, for who is not the Hub: nothing is ever written to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyterhub import orm
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, selectinload

from ..errors import DatabaseUnreadable
from ..services.hub import Person

DB_URL = "sqlite:///jupyterhub.sqlite"
"""JupyterHub's default."""
SQLITE = "sqlite:///"


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


def people_in(session: Session) -> list[Person]:
    """All users, in the order of their names."""
    users = session.query(orm.User).options(selectinload(orm.User.groups)).order_by(orm.User.name)
    return [
        Person(one.name, frozenset(group.name for group in one.groups), bool(one.admin))
        for one in users
    ]


def groups_in(session: Session) -> list[str]:
    """The names of all groups, with members or without."""
    return [name for (name,) in session.query(orm.Group.name).order_by(orm.Group.name)]
