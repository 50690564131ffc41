"""The endpoints of the credit service, in the Hub's own URL space, under `/hub/api/credits`: with
the Hub's rules about tokens, scopes and cross-site requests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from jupyterhub import apihandlers
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.scopes import needs_scope
from tornado.web import HTTPError

from ...config.credits.options import Account, Credits, project_policy
from ...errors import AdjustmentRefused, LedgerUnavailable
from ...ledger.sql.cached import CachedLedger
from ...quotas.adjustments import Adjustment
from ...quotas.verdict import Verdict
from ...status.users import UserStatus, UserStatuses
from ..launch.enforcement import UsageQuotaManager
from ..launch.kept import kept_of
from ..launch.request import subject_of_user
from ..types import HubUser
from .balances import Balance, Balances, about_credits, balance_of, balances_of
from .paying import account_of
from .streams import Event, Streaming, Ticks
from .writing import Unwritable, drafts_for

NAME: Final = r"([^/]+)"
SERVER: Final = r"([^/]*)"


@dataclass(frozen=True, slots=True)
class Desk:
    """What the endpoints answer from: what is in memory, and for what is written the ledger."""

    statuses: UserStatuses
    manager: UsageQuotaManager
    credits: Credits
    ticks: Ticks

    async def status_of(self, user: HubUser) -> UserStatus:
        """Where a user stands now."""
        in_flight = self.manager.pending.in_flight([user])
        return await self.statuses.cached(subject_of_user(user), datetime.now(UTC), in_flight)

    async def balances(self, user: HubUser) -> list[Balances]:
        """A user's credits."""
        return balances_of(await self.status_of(user), self.credits)


class CreditsHandler(Streaming):
    """What all endpoints have in common."""

    def initialize(self, desk: Desk) -> None:
        """`desk` is what they answer from."""
        self.desk = desk

    @property
    def visitor(self) -> HubUser:
        """The user who asks. A service has no credits, and nobody who is not logged in has any."""
        if self.current_user is None:
            raise HTTPError(403, "Missing or invalid credentials.")
        if not hasattr(self.current_user, "spawners"):
            raise HTTPError(404, "a service has no credits")
        user: HubUser = self.current_user
        return user

    @property
    def actor(self) -> str:
        """Who writes something."""
        name = str(self.current_user.name)
        return name if hasattr(self.current_user, "spawners") else f"service {name}"

    def named(self, name: str) -> HubUser:
        """The user of this name."""
        found: HubUser | None = self.find_user(name)
        if found is None:
            raise HTTPError(404, f"no such user: {name}")
        return found

    def answer(self, content: object) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", APIHandler.get_content_type(self))
        self.set_header("Cache-Control", "private, no-cache")
        self.finish(json.dumps(content))

    def body(self) -> Mapping[str, Any]:
        """The object of JSON in a request."""
        given = self.get_json_body()
        if not isinstance(given, dict):
            raise HTTPError(400, "expected an object of JSON with balance or cap")
        return given

    async def write_down(
        self,
        verdict: Verdict,
        balance: Balance,
        held: Sequence[Adjustment],
        user: HubUser | None,
    ) -> None:
        """Make a balance what the request wants."""
        ledger = self.desk.manager.ledger
        if not isinstance(ledger, CachedLedger):
            raise HTTPError(501, "there is no ledger to write into: set UsageConfig.ledger_url")
        name = user.name if user is not None else None
        try:
            drafts = drafts_for(
                self.body(), verdict, balance, held, name, self.actor, datetime.now(UTC)
            )
            if drafts:
                await ledger.record([_of(one, user) for one in drafts])
        except (Unwritable, AdjustmentRefused) as refused:
            raise HTTPError(400, str(refused)) from None
        except LedgerUnavailable as error:
            raise HTTPError(503, str(error)) from None
        self.set_header("Content-Type", APIHandler.get_content_type(self))
        self.finish()


def _of(draft: Adjustment, user: HubUser | None) -> Adjustment:
    """A draft for this user, and for nobody who has the name later."""
    if user is None:
        return draft
    return replace(draft, user_created=subject_of_user(user).created)


class Own(CreditsHandler):
    """`credits`: those of whoever asks."""

    async def get(self) -> None:
        """All of them, as a list."""
        self.answer([one.model() for one in await self.desk.balances(self.visitor)])


class OwnStream(CreditsHandler):
    """`credits/sse`: the same, as it changes."""

    async def get(self) -> None:
        """A stream of lists."""
        user = self.visitor

        async def make() -> tuple[Event, bool]:
            return [one.model() for one in await self.desk.balances(user)], False

        await self.stream(self.desk.ticks, user.name, make)


class Health(CreditsHandler):
    """`credits/health`: whether credits are counted."""

    async def get(self) -> None:
        """Whoever is logged in may know."""
        if self.current_user is None:
            raise HTTPError(403, "Missing or invalid credentials.")
        self.answer({"status": "ok"})


class OfUser(CreditsHandler):
    """`credits/user/{name}[/{credit}]`: a user's, for admins."""

    @needs_scope("admin:users")  # type: ignore[untyped-decorator] # the Hub's
    async def get(self, user_name: str, credit: str | None = None) -> None:
        """All of them, or those of a name."""
        found = [one.model() for one in await self.desk.balances(self.named(user_name))]
        if credit is None:
            self.answer(found)
            return
        named = [one for one in found if one["name"] == credit]
        if not named:
            raise HTTPError(404, f"no credits of this name: {credit}")
        self.answer(named[0])

    @needs_scope("admin:users")  # type: ignore[untyped-decorator] # the Hub's
    async def post(self, user_name: str, credit: str | None = None) -> None:
        """Another balance or cap."""
        user = self.named(user_name)
        account = self._account(credit)
        status = await self.desk.status_of(user)
        for verdict in about_credits(status.decision.verdicts):
            if verdict.allotment.name == account.policy:
                balance = balance_of(account.entry.name, verdict, status.inputs.now)
                held = status.inputs.adjustments
                await self.write_down(verdict, balance, held, user)
                return
        raise HTTPError(404, f"no credits: {user_name}")

    def _account(self, credit: str | None) -> Account:
        """The account of this name; without one, the only one."""
        accounts = self.desk.credits.accounts
        if credit is None and len(accounts) == 1:
            return accounts[0]
        found = self.desk.credits.account(credit) if credit is not None else None
        if found is None:
            names = ", ".join(one.entry.name for one in accounts)
            raise HTTPError(404, f"no credits of this name: {credit}; there are {names}")
        return found


class OfProject(CreditsHandler):
    """`credits/project/{name}`: a project's, for admins."""

    @needs_scope("admin:users")  # type: ignore[untyped-decorator] # the Hub's
    async def get(self, name: str) -> None:
        """Its balance."""
        _, balance, _ = await self._found(name)
        self.answer(balance.model())

    @needs_scope("admin:users")  # type: ignore[untyped-decorator] # the Hub's
    async def post(self, name: str) -> None:
        """Another balance or cap."""
        verdict, balance, held = await self._found(name)
        await self.write_down(verdict, balance, held, None)

    async def _found(self, name: str) -> tuple[Verdict, Balance, Sequence[Adjustment]]:
        if name not in self.desk.credits.projects:
            raise HTTPError(404, f"no such project: {name}")
        now = datetime.now(UTC)
        verdict, held = await self.desk.statuses.of_pool(project_policy(name), now)
        return verdict, balance_of(name, verdict, now), held


class OfServer(CreditsHandler):
    """`credits/sseserver/{user}[/{server}]`: for who uses a server, also with its own token."""

    @needs_scope("access:servers")  # type: ignore[untyped-decorator] # the Hub's
    async def get(self, user_name: str, server_name: str = "") -> None:
        """A stream of the balance, as long as the server runs."""
        user, server = self.named(user_name), server_name
        spawner = user.spawners.get(server)
        if spawner is None:
            raise HTTPError(404, f"{user_name} has no server {server!r}")
        if not spawner.active:
            raise HTTPError(409, f"the server {server!r} of {user_name} does not run")

        async def make() -> tuple[Event, bool]:
            running = user.spawners.get(server)
            if running is None or not running.active:
                return {"error": "the server does not run any more"}, True
            found = await self.desk.balances(user)
            kept = kept_of(running)
            account = account_of(kept.choices if kept else (), self.desk.credits)
            name = account.entry.name if account else ""
            paying = next((one for one in found if one.own.name == name), None)
            return (paying.in_short(), False) if paying else ({"error": "no credits"}, True)

        await self.stream(self.desk.ticks, self.actor, make)


class StopServer(UserServerAPIHandler):  # type: ignore[misc] # the Hub's class, which has no types
    """`credits/stopserver/{user}[/{server}]`: as the Hub's own endpoint, which wants the scope
    `delete:servers` for it.
    """

    SUPPORTED_METHODS = ("DELETE", "OPTIONS")


def add_credit_handlers(desk: Desk) -> None:
    """Have the Hub serve them."""
    common = {"desk": desk}
    routes: list[tuple[str, Any, dict[str, Any]]] = [
        ("", Own, common),
        ("/sse", OwnStream, common),
        ("/health", Health, common),
        (f"/user/{NAME}", OfUser, common),
        (f"/user/{NAME}/{NAME}", OfUser, common),
        (f"/project/{NAME}", OfProject, common),
        (f"/sseserver/{NAME}", OfServer, common),
        (f"/sseserver/{NAME}/{SERVER}", OfServer, common),
        (f"/stopserver/{NAME}", StopServer, {}),
        (f"/stopserver/{NAME}/{SERVER}", StopServer, {}),
    ]
    apihandlers.default_handlers.extend((f"/api/credits{path}", *rest) for path, *rest in routes)
