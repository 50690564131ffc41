"""Why a server does not answer any more, for the pages of its JupyterLab that are still open: their
own server cannot say it. They are of the Hub's origin, and have the user's session.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from jupyterhub.handlers import BaseHandler
from tornado.web import HTTPError, authenticated

from ...quotas.stopping.notices import Notice, NoticeKind
from ...quotas.stopping.states import State
from ..launch.enforcement import UsageQuotaManager
from .models import Gone, Stopped
from .switch_page import page_of
from .switching import Switches

PAGE: Final = "usage-quotas/gone"
"""Below the Hub's address."""


class GonePage(BaseHandler):  # type: ignore[misc] # the Hub's class, which has no types
    """Looks up what is at hand, and changes nothing."""

    def initialize(self, manager: UsageQuotaManager, switches: Switches) -> None:
        """`manager.running` knows what was stopped, `switches` what is switched."""
        self._manager = manager
        self._switches = switches

    @authenticated
    async def get(self, name: str, server: str | None) -> None:
        """Of a user's own server; others' are found by those who may start and stop them."""
        server = server or ""
        found: Any = self.find_user(name)
        if found is None or not self.has_scope(f"servers!server={name}/{server}"):
            raise HTTPError(HTTPStatus.NOT_FOUND)
        switched = any(one.server == server for one in self._switches.of(found.name))
        guard = self._manager.running
        notices = guard.notices_of(found.name)
        newest = next((one for one in notices if one.server == server), None)
        stopped = _stopped(newest)
        states = [one.state for one in guard.servers_of(found.name) if one.name == server]
        said = Gone(
            switch_url=page_of(self.hub.base_url, found, server) if switched else None,
            stopping=stopped is None and State.STOPPING in states,
            stopped=stopped,
        )
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(said.model_dump_json())


def _stopped(newest: Notice | None) -> Stopped | None:
    if newest is None or newest.kind is not NoticeKind.STOPPED:
        return None
    return Stopped(policy=newest.policy, until=newest.until)
