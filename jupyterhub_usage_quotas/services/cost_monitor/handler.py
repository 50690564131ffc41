"""The base of the cost monitor's handlers: who is answered, and what goes with every answer."""

from __future__ import annotations

import asyncio
import datetime
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

from tornado.web import HTTPError

from ...costs.groups import Memberships
from ...costs.months import Span
from ...costs.report import Names, Selection, report
from ...costs.sources.base import SourceState
from ...costs.values import Kind
from ..web.json_handler import JsonHandler
from ..web.openapi import JSON
from ..web.params import LONGEST_TEXT, BadParameter, Refused
from .context import CostContext
from .params import MOST_DECIMALS, MOST_USERS, as_hubs, names_of, number_of, span_of
from .tables import Table, as_json

SENT = re.compile(r"(?:token|bearer) +(?P<token>[\x21-\x7e]{1,4096})", re.IGNORECASE)
MOST_IN_HEADERS = 31
SPAN = ("from", "to")


class CostHandler(JsonHandler):
    """An answer of the cost monitor."""

    needs_login = False  # this class identifies who asks itself
    public: ClassVar[bool] = False
    endpoint: ClassVar[str] = "other"
    """Its address, in metrics."""
    takes: ClassVar[Collection[str]] = ()
    """The names of its parameters."""
    context: CostContext  # type: ignore[assignment] # one without a Hub

    def initialize(self, context: CostContext) -> None:  # type: ignore[override] # as above
        """Called by Tornado with what the application was made with."""
        self.context = context
        if context.auth is not None:
            self.hub_auth = context.auth

    @property
    def parameters(self) -> Collection[str]:
        """See `JsonHandler`."""
        return self.takes or super().parameters

    async def prepare(self) -> None:
        """Refuse whoever may not see what everybody costs."""
        if not self.public:
            await self._require_leave()
        await super().prepare()

    async def _require_leave(self) -> None:
        context = self.context
        sent = SENT.fullmatch(self.request.headers.get("Authorization", ""))
        known = context.token.encode()
        if context.anybody or (known and sent and hmac.compare_digest(sent[1].encode(), known)):
            return
        if context.auth is None:
            raise HTTPError(401)
        await self._identify()
        if not (self.permissions.sees.everybody or self.permissions.administers):
            raise HTTPError(403)

    def on_finish(self) -> None:
        """Called by Tornado after every answer."""
        self.context.metrics.answered(str(self.request.method), self.get_status(), self.endpoint)

    # --- parameters ---

    @cached_property
    def today(self) -> datetime.date:
        """The day that is not over yet: nothing is known of it."""
        return self.context.clock().astimezone(datetime.UTC).date()

    @cached_property
    def span(self) -> Span:
        """The days that are meant."""
        return span_of(self.text("from"), self.text("to"), self.today)

    def text(self, name: str) -> str:
        """A parameter; empty where it is not given."""
        given = self.get_query_argument(name, "", strip=False)
        if len(given) > LONGEST_TEXT:
            raise BadParameter(name, f"expected at most {LONGEST_TEXT} characters")
        return given

    def names(self, name: str) -> Names:
        """The names in a parameter; None for all."""
        return names_of(name, self.get_query_arguments(name, strip=False))

    @cached_property
    def selection(self) -> Selection:
        """Which costs are shown."""
        return Selection(
            as_hubs(self.names("hub"), self.context.support_name),
            self.names("component"),
            self.names("user"),
            self.names("usergroup"),
        )

    @cached_property
    def most_users(self) -> int | None:
        """How many users are shown one by one; None for all."""
        return number_of("limit", self.text("limit"), MOST_USERS) or None

    @property
    def names_users(self) -> bool:
        """Whether any parameter tells users apart."""
        of_users = (self.selection.users, self.selection.groups, self.most_users)
        return any(one is not None for one in of_users)

    async def users_shown(self, memberships: Memberships | None) -> frozenset[str] | None:
        """The users who are shown one by one, None for all: no others need be told apart by day."""
        if not self.names_users:
            return None
        totals = await self.context.costs.totals(self.span)
        selection, most = self.selection, self.most_users
        made = await asyncio.to_thread(
            partial(
                report,
                totals,
                ["kind", "user"],
                selection,
                memberships=memberships,
                most_users=most,
            )
        )
        return frozenset(str(one.user) for one in made.rows if one.kind is Kind.USER)

    @cached_property
    def decimals(self) -> int | None:
        """How many decimals amounts have; None for all there are."""
        return number_of("decimals", self.text("decimals"), MOST_DECIMALS)

    @cached_property
    def wants_rest(self) -> bool:
        """Whether what a filter hides is shown as rows, too."""
        return self.query.choice("rest", ("true", "false"), "false") == "true"

    # --- answers ---

    def finished(self, made: Table) -> Table:
        """The table, with as many decimals as are wanted, and its rest in a header."""
        if self.decimals is not None:
            made = made.rounded(self.decimals)
        rest = [f"{amount:f} {currency}".strip() for currency, amount in made.rest.items()]
        self.set_header("X-Costs-Rest", ", ".join(rest) or "0")
        return made

    def say_what_is_missing(self, missing: Sequence[datetime.date], *, any_rows: bool) -> None:
        """Say in headers which days are not known, and why. Raises `Refused` where none is: no
        costs are not zero.

        What is missing is found out before costs are read: some may be written meanwhile.
        """
        states = {
            name: status
            for name, status in self.context.keeping.states.items()
            if status.state is not SourceState.OK
        }
        days = (self.span.until - self.span.since).days
        if missing and len(missing) >= days and not any_rows:
            why = "; ".join(
                f"{name} is {status.state.value}: {status.detail}".strip(" :")
                for name, status in states.items()
            )
            raise Refused(503, f"no costs of this time are known: {why or 'no source has any'}")
        if missing:
            shown = ", ".join(map(str, missing[-MOST_IN_HEADERS:]))
            self.set_header("X-Costs-Missing-Days", shown)
        if states:
            shown = ", ".join(f"{name}={one.state.value}" for name, one in states.items())
            self.set_header("X-Costs-State", shown)

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Answer with rows, a plain list."""
        self.answer_text(as_json(rows), JSON)
