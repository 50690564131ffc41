"""The page on which a user waits while their server is started again with another profile; where it
cannot be, it says why, and offers the profile that ran before.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import url_escape_path, url_path_join
from tornado.web import HTTPError, authenticated

from ...errors import LedgerUnavailable
from ...ledger.sql.switches import Switch, SwitchState
from ..launch.enforcement import UsageQuotaManager
from ..types import HubUser
from .switching import Switches

PAGE: Final = "usage-quotas/switch"
"""Below the Hub's address."""


def page_of(base_url: str, user: HubUser, server: str) -> str:
    """The path of the page about a server."""
    return str(url_path_join(base_url, PAGE, user.escaped_name, quote(server, safe="")))


class SwitchPage(BaseHandler):  # type: ignore[misc] # the Hub's class, which has no types
    """Waits, and leads on to the Hub's own page of a server that starts."""

    def initialize(self, manager: UsageQuotaManager, switches: Switches) -> None:
        """`switches` knows how far each is."""
        self._manager = manager
        self._switches = switches

    @authenticated
    async def get(self, name: str, server: str | None) -> None:
        """Whatever there is to say of the server, else the Hub's own page of it."""
        user, switch = self._switch(name, server or "")
        if switch is None or self._starts(user, switch):
            server_url = url_escape_path(server or "")
            self.redirect(
                url_path_join(self.hub.base_url, "spawn-pending", user.escaped_name, server_url)
            )
            return
        html = await self.render_template(
            "usage-quota-switch.html",
            switch=switch,
            failed=switch.state is SwitchState.FAILED,
            xsrf=self.xsrf_token.decode("ascii"),
            message=self._manager.texts.gettext(switch.message),
            may_go_back="profile" in switch.previous and switch.previous != switch.wanted,
            spawn_url=url_path_join(
                self.hub.base_url, "spawn", user.escaped_name, url_escape_path(server or "")
            ),
        )
        self.set_header("Cache-Control", "no-store")
        self.finish(html)

    @authenticated
    async def post(self, name: str, server: str | None) -> None:
        """Start the profile that ran before, where another could not be started."""
        user, switch = self._switch(name, server or "")
        if switch is not None and switch.state is SwitchState.FAILED:
            back = replace(
                switch,
                wanted=switch.previous,
                wanted_name=switch.previous_name,
                requested=datetime.now(UTC),
                state=SwitchState.STARTING,
                message="",
            )
            try:
                await self._switches.request(back)
            except LedgerUnavailable:
                raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE) from None
        self.redirect(page_of(self.hub.base_url, user, server or ""))

    def _switch(self, name: str, server: str) -> tuple[HubUser, Switch | None]:
        """The user, and the switch of their server. Others' are found only by those who may start
        and stop their servers.
        """
        found: Any = self.find_user(name)
        if found is None or not self.has_scope(f"servers!server={name}/{server}"):
            raise HTTPError(HTTPStatus.NOT_FOUND)
        own = (one for one in self._switches.of(found.name) if one.server == server)
        return found, next(own, None)

    @staticmethod
    def _starts(user: HubUser, switch: Switch) -> bool:
        if switch.state is not SwitchState.STARTING:
            return False
        spawner = next((one for one in user.spawners.values() if one.name == switch.server), None)
        return spawner is not None and bool(spawner.active)
