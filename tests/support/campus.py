"""A campus with a ledger: two courses, their teachers and students, and a viewer in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from jupyterhub_usage_quotas import SqlLedger
from jupyterhub_usage_quotas.conventions import SCOPE_GRANT, SCOPE_READ
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment
from jupyterhub_usage_quotas.quotas.subject import EVERYONE
from tests.support.viewer import ACCESS, SECRET, Viewer, running_viewer, token_of

MADE = "2024-09-01T08:00:00.123456Z"
POLICIES: list[dict[str, Any]] = [
    {
        "name": "week",
        "resource": "time",
        "limit": "8 hours",
        "window": 7,
        "scope": {"group": ["a", "b"]},
    },
    {
        "name": "memory",
        "resource": "memory",
        "limit": "5 GiB-hours",
        "window": 7,
        "scope": {"everyone": True},
    },
    {
        "name": "of-b",
        "resource": "gpu",
        "limit": "3 GPU-hours",
        "window": 7,
        "scope": {"group": ["b"]},
    },
    {"resource": "cpu", "limit": "9 CPU-hours", "window": 7, "scope": {"everyone": True}},
]
RULES = {
    "policy": POLICIES,
    "may_grant": {"tutors-of-a": ["a"], "lab": [{"glob": "b*"}]},
    "grant_limits": {"memory": "2 GiB-hours", "week": None},
}
STUDENTS = {"ann": "a", "amy": "a", "abe": "a", "ben": "b", "bea": "b"}
ADMIN = "token-of-admin"
TINA = "token-of-tina"
"""The token of a teacher who may give to the members of group a."""
HOUR = 3600.0
GRANT = {"kind": "grant", "policy": "week", "amount": "1 hour", "until": "7d", "reason": "ill"}


_fresh = map("pupil{}".format, count(1))


def body(*users: str, **more: Any) -> dict[str, Any]:
    """A request for a grant to these users; None leaves a key out."""
    made = {**GRANT, "users": list(users)} | more
    return {name: value for name, value in made.items() if value is not None}


class Campus:
    """The viewer of the campus, its Hub, and its ledger."""

    def __init__(self, viewer: Viewer, ledger_url: str) -> None:
        self.viewer = viewer
        self.hub = viewer.hub
        self.ledger_url = ledger_url

    def post(self, path: str, token: str, content: Any, **options: Any) -> httpx.Response:
        """A request with a token; `content` is the body."""
        return self.viewer.get(f"api/v1/{path}", token, method="POST", json=content, **options)

    def give(self, token: str, *users: str, **more: Any) -> httpx.Response:
        """A request for a grant; `key` is its idempotency key."""
        key = more.pop("key", None)
        headers = {"Idempotency-Key": key} if key else {}
        return self.post("adjustments", token, body(*users, **more), headers=headers)

    def read(self, path: str, token: str) -> httpx.Response:
        """What is read with a token."""
        return self.viewer.get(f"api/v1/{path}", token)

    def written(self) -> Sequence[Adjustment]:
        """All that is in the ledger, the newest first, as somebody else reads it."""

        async def read() -> Sequence[Adjustment]:
            ledger = SqlLedger.at(self.ledger_url)
            try:
                return await ledger.history(EVERYONE, limit=10_000)
            finally:
                await ledger.aclose()

        return asyncio.run(read())

    def about(self, *users: str | None) -> list[Adjustment]:
        """Of that, what is about these users."""
        return [one for one in self.written() if one.user in users]

    def add(self, name: str, *groups: str, admin: bool = False) -> None:
        """A user, as the Hub shows them to who may know when they were made."""
        self.hub.add_user(name, *groups, admin=admin)
        self.hub.users[name]["created"] = MADE

    def session(self, name: str, *scopes: str) -> dict[str, str]:
        """The cookies of a browser in which a user has logged in."""
        token = f"session-of-{name}"
        self.hub.tokens[token] = self.hub.users[name] | {"scopes": [ACCESS, *scopes]}
        return self.viewer.cookies_of(token)

    def pupil(self) -> str:
        """A new student of group a, about whom nothing was decided yet."""
        name = next(_fresh)
        self.add(name, "a")
        return name

    def teacher(self, name: str, *scopes: str, groups: Sequence[str] = ()) -> str:
        """A user with these scopes; returns the token."""
        self.add(name, *groups)
        self.hub.tokens[token_of(name)]["scopes"] += scopes
        return token_of(name)


@contextmanager
def running_campus(
    folder: Path,
    rules: Mapping[str, Any] = RULES,
    more: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ledger_url: str = "",
) -> Iterator[Campus]:
    """The campus, with an empty ledger in this folder, or with another; `more` are options by
    section.
    """
    url = ledger_url or f"sqlite:///{folder}/ledger.sqlite"
    make_tables(url)
    sections: dict[str, Mapping[str, Any]] = {
        "UsageConfig": {"ledger_url": url},
        "UsageQuotaManager": rules,
        "UsageViewer": {"session_secret_key": SECRET},
    }
    for section, options in more.items():
        sections[section] = {**sections[section], **options}
    with running_viewer(sections) as viewer:
        campus = Campus(viewer, url)
        for name, group in STUDENTS.items():
            campus.add(name, group)
        campus.add("admin", admin=True)
        campus.add("tom", "tutors-of-a")
        campus.add("lea", "lab", "a")
        campus.teacher("tina", f"{SCOPE_GRANT}!group=a", groups=["a", "teachers"])
        campus.hub.add_token("one", "one", ACCESS, f"{SCOPE_GRANT}!user=ben")
        campus.hub.add_token("all", "all", ACCESS, SCOPE_GRANT, SCOPE_READ)
        campus.hub.add_token("reads", "reads", ACCESS, SCOPE_READ)
        campus.hub.add_token("elsewhere", "elsewhere", SCOPE_GRANT)
        yield campus


def make_tables(url: str) -> None:
    """The tables of a ledger, as the Hub makes them."""

    async def make() -> None:
        ledger = SqlLedger.at(url, upgrade=True)
        await ledger.history(EVERYONE)
        await ledger.aclose()

    asyncio.run(make())
