"""The client of the Hub's REST API: its users and their groups."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from ...errors import HubUnavailable
from ...quotas.messages import said_by
from ...quotas.subject import Subject
from ...status.permissions import subject_of

HUB_PATIENCE = 4.0
"""How long, in seconds, the Hub may take to answer; visitors get a 503 after that."""
PAGE = 200
"""Users per request; the Hub gives no more at once unless it is configured to."""
SUBJECT_KEPT = 15.0
LIST_KEPT = 60.0
"""How long, in seconds, answers are used again."""
MANY = 10_000
"""Of how many single users answers are kept."""


class HubClient:
    """Queries the Hub with the service's own token, and caches answers for a short while."""

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
            timeout=HUB_PATIENCE,
            trust_env=False,
        )
        self._clock = clock
        self._subjects: dict[str, tuple[float, Subject | None]] = {}
        self._list_kept: tuple[float, Sequence[Subject]] | None = None
        self._listing = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def subject(self, name: str, *, fresh: bool = False) -> Subject | None:
        """A user, as they are now if it has to be `fresh`; None where there is none of this name.
        Raises `HubUnavailable`.
        """
        kept = None if fresh else self._subjects.get(name)
        if kept and self._clock() - kept[0] < SUBJECT_KEPT:
            return kept[1]
        answer = await self._get(f"users/{_in_a_path(name)}")
        subject = subject_of(answer) if answer is not None else None
        if len(self._subjects) >= MANY:
            self._subjects.clear()
        self._subjects[name] = (self._clock(), subject)
        return subject

    async def subjects(self) -> Sequence[Subject]:
        """All users, in the order of their names. Raises `HubUnavailable`."""
        # Calls during a query wait for the same answer.
        async with self._listing:
            if self._list_kept and self._clock() - self._list_kept[0] < LIST_KEPT:
                return self._list_kept[1]
            found = sorted(await self._list(), key=lambda one: one.name)
            self._list_kept = (self._clock(), found)
            return found

    async def _list(self) -> list[Subject]:
        # By name, for a user who is added or deleted meanwhile may be met twice.
        found: dict[str, Subject] = {}
        offset: int | None = 0
        while offset is not None:
            page = await self._get("users", offset=offset, limit=PAGE, sort="id")
            if not isinstance(page, Mapping) or "_pagination" not in page:
                raise HubUnavailable("the Hub did not answer with a page of users")
            for model in page["items"]:
                found[model["name"]] = subject_of(model)
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
            raise HubUnavailable(said_by(error)) from error


def _in_a_path(name: str) -> str:
    """A name as a part of a path; of dots alone it would be the folder or the one above."""
    quoted = quote(name, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")
