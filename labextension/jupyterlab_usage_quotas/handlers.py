"""The addresses at which the page asks: fixed ones, behind the server's own login."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError, authenticated

from .hub import Hub

LARGEST_BODY = 64 * 1024
"""In bytes."""


class QuotaHandler(APIHandler):
    """What both have in common."""

    def initialize(self, hub: Hub) -> None:
        """`hub` is who is asked."""
        self.hub = hub


class StatusHandler(QuotaHandler):
    """`usage-quotas/api/status`: where the user stands."""

    @authenticated
    async def get(self) -> None:
        """What the Hub says; see `src/answer.ts`."""
        said = await self.hub.status()
        known = 200 <= said.status < 300  # noqa: PLR2004
        self.set_header("Cache-Control", "no-store")
        self.finish(
            {
                "now": datetime.now(UTC).isoformat(),
                "server": self.hub.server,
                "quotas": said.content if known else None,
                "problem": said.problem,
            }
        )


class SwitchHandler(QuotaHandler):
    """`usage-quotas/api/switch`: another profile for this server."""

    @authenticated
    async def post(self) -> None:
        """Ask the Hub, and pass on what it says: `url`, or why not."""
        if len(self.request.body) > LARGEST_BODY:
            raise HTTPError(413)
        try:
            wanted = json.loads(self.request.body)
            body = {"profile": wanted["profile"], "options": wanted.get("options", {})}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise HTTPError(400, "got no profile; expected a JSON object with one") from None
        said = await self.hub.switch(body)
        self.set_status(said.status or 502)
        names = ("url", "message", "reason", "retry_time")
        answer = {name: said.content[name] for name in names if said.content.get(name)}
        self.finish({"message": said.problem, **answer} if said.problem else answer)


def add_handlers(web_app: Any, hub: Hub) -> None:
    """Add both to a server."""
    base = url_path_join(web_app.settings["base_url"], "usage-quotas", "api")
    web_app.add_handlers(
        ".*",
        [
            (url_path_join(base, "status"), StatusHandler, {"hub": hub}),
            (url_path_join(base, "switch"), SwitchHandler, {"hub": hub}),
        ],
    )
