"""The endpoint by which a user's server, or the user, has it started again with another profile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from tornado.web import HTTPError

from ...conventions import SCOPE_SWITCH
from ...errors import LedgerUnavailable
from ...ledger.sql.switches import LONGEST_MESSAGE, Switch
from ...quotas.messages import not_among, printable, shown
from ..launch.enforcement import UsageQuotaManager
from ..launch.kept import kept_of
from ..launch.profiles import profiles_of
from ..launch.request import subject_of_user
from ..types import HubSpawner, HubUser
from .handlers import UserHandler
from .models import NewSwitch, Refusal, Switching
from .switch_page import page_of
from .switching import Switches

LARGEST_BODY: Final = 64 * 1024
"""In bytes."""


class Refused(Exception):
    """Nothing is done, and nothing was stopped."""

    def __init__(self, status: int, reason: str, message: str, at: datetime | None = None) -> None:
        super().__init__(message)
        line = printable(message, LONGEST_MESSAGE)
        self.said = Refusal.model_validate(
            {"status": status, "reason": reason, "message": line, "retry_time": at}
        )


class SwitchHandler(UserHandler):
    """`users/{name}/switch`: whether it may start is decided before anything is stopped."""

    def initialize(self, manager: UsageQuotaManager, switches: Switches) -> None:
        """`manager` decides, `switches` carries out."""
        self._manager = manager
        self._switches = switches

    async def post(self, name: str) -> None:
        """Begin to switch a running server to another profile."""
        user = self.visible(name)
        wanted = self._body()
        if not may_switch(self, user.name, wanted.server):
            raise HTTPError(HTTPStatus.FORBIDDEN, "This token or session may not switch profiles.")
        try:
            spawner = self._running(user, wanted.server)
            options = {**wanted.options, "profile": wanted.profile}
            name_of_profile = await self._decided(user, wanted.server, options)
            # Meanwhile anything can have happened.
            spawner = self._running(user, wanted.server)
            switch = _switch(user, spawner, options, name_of_profile)
            await self._begin(switch)
        except Refused as refused:
            self.answer(refused.said, refused.said.status)
            return
        self.answer(Switching(url=page_of(self.hub.base_url, user, wanted.server)), 202)

    def _body(self) -> NewSwitch:
        if len(self.request.body) > LARGEST_BODY:
            raise HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            return NewSwitch.model_validate_json(self.request.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            message = printable(f"{where}: {first['msg']}", LONGEST_MESSAGE)
            raise HTTPError(HTTPStatus.BAD_REQUEST, message.replace("%", "%%")) from None

    def _running(self, user: HubUser, server: str) -> HubSpawner:
        """The spawner of a server that runs and is not being stopped."""
        gettext = self._manager.texts.gettext
        # What is looked up in the Hub's mapping by another name would be made.
        spawner = next((one for one in user.spawners.values() if one.name == server), None)
        if spawner is None or not spawner.active:
            message = gettext("The server does not run: start it with the profile of your choice.")
            raise Refused(HTTPStatus.CONFLICT, "server", message)
        if spawner.pending or self._switches.under_way(user.name, server):
            message = gettext("The server is just being started or stopped. Try again in a moment.")
            raise Refused(HTTPStatus.CONFLICT, "busy", message)
        return spawner

    async def _decided(self, user: HubUser, server: str, options: Mapping[str, Any]) -> str:
        """The name of the profile with which the server may start now."""
        other = another_spawner(user, server, options)
        profiles = {str(one.get("slug", "")): one for one in await profiles_of(other)}
        slug = str(options["profile"])
        if slug not in profiles:
            message = not_among("profile", slug, sorted(profiles))
            raise Refused(HTTPStatus.CONFLICT, "profile", message)
        try:
            denial = await self._manager.would_deny(user, other)
        except Exception as error:
            # What the spawner raises for options that it does not take is for the user.
            message = f"options: {error}"
            raise Refused(HTTPStatus.CONFLICT, "profile", message) from None
        if denial is not None:
            message, at = denial.jupyterhub_message, denial.usage_quota_retry_time
            raise Refused(HTTPStatus.CONFLICT, "quota", message, at)
        return str(profiles[slug].get("display_name", slug))

    async def _begin(self, switch: Switch) -> None:
        try:
            await self._switches.request(switch)
        except LedgerUnavailable as error:
            self.log.warning(
                "The server %s of %s is not switched to another profile: %s",
                shown(switch.server),
                shown(switch.user),
                error,
            )
            message = self._manager.texts.gettext(
                "The Hub cannot keep your choice at the moment, so your server goes on as it is."
            )
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "ledger", message) from None


def may_switch(handler: Any, user: str, server: str) -> bool:
    """Whether a visitor may have this server started again: by the scope for it, or by the Hub's
    own to start and stop it.
    """
    where = f"!server={user}/{server}"
    return bool(handler.has_scope(SCOPE_SWITCH + where) or handler.has_scope("servers" + where))


def another_spawner(user: HubUser, server: str, options: Mapping[str, Any]) -> HubSpawner:
    """A spawner as the Hub would make it for a start of this server, which does not start."""
    make: Any = user
    spawner: HubSpawner = make._new_spawner(server)
    spawner.user_options = dict(options)  # type: ignore[misc]
    return spawner


def _switch(
    user: HubUser, spawner: HubSpawner, options: Mapping[str, Any], name_of_profile: str
) -> Switch:
    kept = kept_of(spawner)
    return Switch(
        user=user.name,
        server=spawner.name,
        user_created=subject_of_user(user).created,
        wanted=options,
        wanted_name=printable(name_of_profile, 255),
        previous=dict(spawner.user_options or {}),
        previous_name=kept.profile_name if kept else "",
        requested=datetime.now(UTC),
    )
