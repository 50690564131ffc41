"""The Hub's REST API, as far as the viewer asks it: who there is, and in which groups."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from ..errors import UsageQuotasError
from ..metering.promql import Users
from ..quotas.policy import Policy

PAGE = 200
"""Users per request; the Hub gives no more at once unless it is configured to."""
PERSON_KEPT = 15.0
PEOPLE_KEPT = 60.0
"""How long, in seconds, answers are used again."""
MANY = 10_000
"""Of how many single users answers are kept."""


class HubUnavailable(UsageQuotasError):
    """The Hub gave no answer that can be used; the message is for the log."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user, as the Hub knows them."""

    name: str
    groups: frozenset[str] = frozenset()
    admin: bool = False


def person_of(model: Mapping[str, Any]) -> Person:
    """The person of a user model of the Hub."""
    return Person(
        str(model["name"]), frozenset(model.get("groups") or ()), bool(model.get("admin", False))
    )


class HubClient:
    """Asks the Hub with the service's own token, and remembers for a short while."""

    def __init__(
        self,
        api_url: str,
        token: str,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=api_url.rstrip("/") + "/",
            headers={
                "Authorization": f"token {token}",
                "Accept": "application/jupyterhub-pagination+json, application/json",
            },
            verify=tls or True,
            timeout=10,
            trust_env=False,
        )
        self._clock = clock
        self._persons: dict[str, tuple[float, Person | None]] = {}
        self._people: tuple[float, Sequence[Person]] | None = None
        self._listing = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def person(self, name: str) -> Person | None:
        """A user; None where there is none of this name. Raises `HubUnavailable`."""
        kept = self._persons.get(name)
        if kept and self._clock() - kept[0] < PERSON_KEPT:
            return kept[1]
        answer = await self._get(f"users/{quote(name, safe='')}")
        person = person_of(answer) if answer is not None else None
        if len(self._persons) >= MANY:
            self._persons.clear()
        self._persons[name] = (self._clock(), person)
        return person

    async def people(self) -> Sequence[Person]:
        """All users, in the order of their names. Raises `HubUnavailable`."""
        # Whoever asks while somebody else does waits for the same answer.
        async with self._listing:
            if self._people and self._clock() - self._people[0] < PEOPLE_KEPT:
                return self._people[1]
            people = sorted(await self._list(), key=lambda person: person.name)
            self._people = (self._clock(), people)
            return people

    async def _list(self) -> list[Person]:
        # By name, for a user who is added or deleted meanwhile may be met twice.
        found: dict[str, Person] = {}
        offset: int | None = 0
        while offset is not None:
            page = await self._get("users", offset=offset, limit=PAGE, sort="id")
            if not isinstance(page, Mapping) or "_pagination" not in page:
                raise HubUnavailable("the Hub does not give its users in pages")
            for model in page["items"]:
                found[model["name"]] = person_of(model)
            following = page["_pagination"].get("next")
            offset = following["offset"] if following else None
        return list(found.values())

    async def _get(self, path: str, **query: Any) -> Any:
        try:
            answer = await self._http.get(path, params=query)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise HubUnavailable(f"{type(error).__name__}: {error}") from error


def members_of_pools(policies: Iterable[Policy], people: Sequence[Person]) -> Mapping[str, Users]:
    """By the name of every pooled policy, its members; None where it covers everyone."""
    return {
        policy.name: None
        if policy.for_everybody
        else {one.name for one in people if policy.covers(one.name, one.groups, admin=one.admin)}
        for policy in policies
        if policy.pooled
    }
