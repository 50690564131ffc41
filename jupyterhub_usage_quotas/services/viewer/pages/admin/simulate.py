"""The page on which an admin tries policies on the past."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tornado.web import HTTPError

from .....config.quotas import TRIED
from .....errors import ConfigurationError
from .....quotas.phrases import mark
from .....quotas.policy.policy import PolicySet
from .....quotas.simulation.report import SimulationReport
from .....quotas.usage import Unknown
from ....web.openapi import CSV
from ....web.params import BadParameter
from ...trying import TooMuch
from ..handlers import ViewerPage
from .simulating import (
    DAYS_AT_MOST,
    LONGEST_POLICIES,
    WINDOW_NAMES,
    Wanted,
    policy_rows,
    resources,
    user_rows,
    users_as_csv,
)

TAKES_TOO_LONG = mark(
    "This takes too long for a page. Try fewer days here, or run jupyterhub-usage-quotas simulate"
    " where the Hub runs."
)
TOO_LONG = mark("got {got} characters; expected at most {most}")


class SimulatePage(ViewerPage):
    """`/admin/simulate`: what policies would have done to everybody, for those who see everybody.

    The form is a part of the address, and nothing is ever written.
    """

    async def get(self) -> None:
        """The form; where something is to be tried, what it would have done."""
        if not self.permissions.everybody:
            raise HTTPError(404)
        typed = self.get_query_argument("policies", "", strip=False) or ""
        if len(typed) > LONGEST_POLICIES:
            values = {"got": len(typed), "most": LONGEST_POLICIES}
            raise BadParameter("policies", self.language.gettext(TOO_LONG, **values))
        wanted = Wanted.of(self.query, typed)
        form = self.query.choice("format", ("html", "csv"), "html")
        # What changes with the data, which a script requests every minute, is none of this.
        if self.query.choice("try", ("", "yes"), "") != "yes" or self.in_part:
            await self._show(wanted)
            return
        try:
            policies = self._policies(wanted)
        except ConfigurationError as error:
            await self._show(wanted, wrong=error.errors, status=400)
            return
        await self._try(wanted, policies, as_csv=form == "csv")

    head = get

    def _policies(self, wanted: Wanted) -> PolicySet:
        manager, given = self.context.configured.manager, wanted.given
        return manager.policies if given is None else manager.in_place(given)

    async def _try(self, wanted: Wanted, policies: PolicySet, *, as_csv: bool) -> None:
        start = self.now - timedelta(days=wanted.days)
        subjects = await self.context.hub.subjects()
        trying = self.context.trying
        try:
            found = await trying.on_past(policies, subjects, start, self.now, wanted.share / 100)
        except TooMuch:
            problem = self.language.gettext(TAKES_TOO_LONG)
            await self._show(wanted, problem=problem, status=503)
            return
        if isinstance(found, Unknown):
            self.context.log.warning("The past is not known: %s: %s", found.reason, found.detail)
            await self._show(wanted, unknown=found.reason, status=503)
        elif as_csv:
            self._download(await asyncio.to_thread(users_as_csv, found))
        else:
            await self._show(wanted, **self._found(found, policies))

    def _found(self, found: SimulationReport, policies: PolicySet) -> dict[str, Any]:
        hit = sum(1 for one in found.users if one.denied or one.stopped)
        return {
            "found": found,
            "rows": policy_rows(found, policies, self.language),
            "users": user_rows(found, self.language),
            "hit": hit,
            "uncertain": sum(one.launches_uncertain for one in found.users),
            "missing": self.language.duration(timedelta(hours=found.missing_hours))
            if found.missing_hours * 60 >= 1
            else "",
            "download": f"{self.request.uri}&format=csv",
        }

    def _download(self, text: str) -> None:
        self.set_header("Content-Type", f"{CSV}; charset=UTF-8")
        self.set_header("Content-Disposition", 'attachment; filename="simulation.csv"')
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.finish(text)

    async def _show(
        self, wanted: Wanted, *, wrong: Sequence[str] = (), status: int = 200, **more: Any
    ) -> None:
        language = self.language
        subjects = await self.context.hub.subjects()
        self.set_status(status)
        self.show(
            "usage-quota-simulate.html",
            chip=await self.header(),
            wanted=wanted,
            wrong=wrong,
            resources=resources(self.context.configured.manager.policies, language),
            windows=[(key, language.gettext(name)) for key, name in WINDOW_NAMES.items()],
            groups=sorted({group for one in subjects for group in one.groups}),
            keys=", ".join(TRIED),
            days_at_most=DAYS_AT_MOST,
            longest=LONGEST_POLICIES,
            gives=self.gives,
            zone=self.zone.key,
            now=self.now,
            **more,
        )
