"""The Hub, as this server asks it: at an address from the environment, with the server's own token.

However many tabs ask, the Hub is asked once in a few seconds. The token stays here: what is
returned is what the Hub said, or what is wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

FRESH_SECONDS = 4.0
"""For so long an answer is given to everybody who asks."""
PATIENCE_SECONDS = 15.0
LARGEST_ANSWER = 2 * 1024 * 1024
"""In bytes."""
LONGEST_TEXT = 1000

TOO_OLD = (
    "The Hub shows no usage quotas to this server. It may have been started before they were set"
    " up: start it again."
)


@dataclass(frozen=True)
class Said:
    """What the Hub said: its status and its object; or, with status 0, what is wrong."""

    status: int
    content: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


class Hub:
    """The Hub of this server."""

    def __init__(
        self, api_url: str, token: str, user: str, server: str, tls: Mapping[str, str] | None = None
    ) -> None:
        self.server = server
        self._user_url = f"{api_url.rstrip('/')}/usage-quotas/users/{quote(user, safe='')}"
        self._token = token
        self._tls = dict(tls or {})
        self._last: tuple[float, Said] | None = None
        self._asking: asyncio.Future[Said] | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Hub | None:
        """The Hub that started this server; None where none did."""
        names = ("JUPYTERHUB_API_URL", "JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER")
        url, token, user = (environment.get(name, "") for name in names)
        if not (url and token and user):
            return None
        tls = {
            "client_key": environment.get("JUPYTERHUB_SSL_KEYFILE", ""),
            "client_cert": environment.get("JUPYTERHUB_SSL_CERTFILE", ""),
            "ca_certs": environment.get("JUPYTERHUB_SSL_CLIENT_CA", ""),
        }
        server = environment.get("JUPYTERHUB_SERVER_NAME", "")
        return cls(url, token, user, server, {name: file for name, file in tls.items() if file})

    async def status(self) -> Said:
        """Where the user stands, as of a few seconds ago at most."""
        if self._last and time.monotonic() - self._last[0] < FRESH_SECONDS:
            return self._last[1]
        if self._asking is None:
            # Who asks meanwhile waits for the same answer; that one of them goes away ends nothing.
            self._asking = asyncio.ensure_future(self._ask_status())
        return await asyncio.shield(self._asking)

    async def switch(self, body: Mapping[str, Any]) -> Said:
        """Have this server started again with another profile."""
        self._last = None
        content = json.dumps({**body, "server": self.server})
        return await self._request("POST", f"{self._user_url}/switch", content)

    async def _ask_status(self) -> Said:
        try:
            query = urlencode({"server": self.server})
            said = await self._request("GET", f"{self._user_url}?{query}", None)
            self._last = time.monotonic(), said
            return said
        finally:
            self._asking = None

    async def _request(self, method: str, url: str, body: str | None) -> Said:
        headers = {"Authorization": f"token {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = HTTPRequest(
            url,
            method=method,
            headers=headers,
            body=body,
            follow_redirects=False,
            connect_timeout=PATIENCE_SECONDS,
            request_timeout=PATIENCE_SECONDS,
            **self._tls,
        )
        client = AsyncHTTPClient(force_instance=True, max_body_size=LARGEST_ANSWER)
        try:
            answer = await client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError, ValueError) as error:
            return Said(0, problem=f"The Hub cannot be reached: {type(error).__name__}.")
        finally:
            client.close()
        return _said(answer.code, answer.body)


def _said(status: int, body: bytes) -> Said:
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        content = None
    if status == 599 or not isinstance(content, dict):  # noqa: PLR2004 Tornado's for no answer
        return Said(0, problem="The Hub does not answer as expected.")
    if status >= 400:  # noqa: PLR2004
        said = str(content.get("message") or "")[:LONGEST_TEXT]
        problem = TOO_OLD if status in (403, 404) else f"The Hub answered with an error ({status})."
        return Said(status, content, said or problem)
    return Said(status, content)
