"""The names that dashboards choose from, who is in which groups, and pages for programs that watch
the cost monitor.
"""

from __future__ import annotations

import json

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ...costs.months import Span
from ...costs.sources.base import DAY
from ...errors import LedgerUnavailable
from ...metering.kubespawner.homes import home_names
from ..web.openapi import JSON
from .handler import SPAN, CostHandler


class HubNames(CostHandler):
    """The hubs that cost anything."""

    endpoint, takes = "/hub-names", SPAN

    async def get(self) -> None:
        """Answer with their names."""
        hubs = {
            one.hub for one in await self.context.costs.allocations(self.span, by_user=False)
        } - {None}
        names = sorted(str(hub) or self.context.support_name for hub in hubs)
        self.answer_text(json.dumps(names), JSON)


class ComponentNames(CostHandler):
    """The components that are split between users."""

    endpoint, takes = "/component-names", SPAN

    async def get(self) -> None:
        """Answer with their names."""
        names = sorted(self.context.costs.attribution.rules.drivers)
        self.answer_text(json.dumps(names), JSON)


class _Groups(CostHandler):
    """Who is in which groups."""

    hub_key, user_key = "hub_name", "user_name"

    async def members(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """The hub, name and groups of each user, in order."""
        span = Span(self.today, self.today + DAY)
        hubs, users = self.names(self.hub_key), self.names(self.user_key)
        found = (await self.context.costs.memberships(span)).groups
        return [
            (hub, user, groups)
            for (hub, user), groups in sorted(found.items())
            if (hubs is None or hub in hubs) and (users is None or user in users)
        ]


class UserGroups(_Groups):
    """A row for each user and group."""

    endpoint, takes = "/user-groups", (*SPAN, "hub", "username", "usergroup")
    hub_key, user_key = "hub", "username"

    async def get(self) -> None:
        """Answer with the rows."""
        wanted, escaped = self.names("usergroup"), home_names("escape")
        rows = [
            {
                "hub": hub,
                "username": user,
                "username_escaped": escaped(user),
                "usergroup": group,
            }
            for hub, user, groups in await self.members()
            for group in groups
            if wanted is None or group in wanted
        ]
        self.answer_rows(rows)


class UsersWithMultipleGroups(_Groups):
    """A row for each group of the users who are in several."""

    endpoint, takes = "/users-with-multiple-groups", (*SPAN, "hub_name", "user_name")

    async def get(self) -> None:
        """Answer with the rows."""
        rows = [
            {"username": user, "hub": hub, "usergroup": group}
            for hub, user, groups in await self.members()
            if len(groups) > 1
            for group in groups
        ]
        self.answer_rows(rows)


class UsersWithNoGroups(_Groups):
    """The users who are in no group."""

    endpoint, takes = "/users-with-no-groups", (*SPAN, "hub_name", "user_name")

    async def get(self) -> None:
        """Answer with a row for each."""
        rows = [
            {"username": user, "hub": hub}
            for hub, user, groups in await self.members()
            if not groups
        ]
        self.answer_rows(rows)


class Index(CostHandler):
    """What this is, for whoever opens its address."""

    endpoint, public = "/", True

    async def get(self) -> None:
        """Answer with its name."""
        self.answer({"message": "The cost monitor of JupyterHub's usage quotas", "api": "api/v1/"})


class Ready(CostHandler):
    """Whether it can answer, for Kubernetes."""

    endpoint, public = "/health/ready", True

    async def get(self) -> None:
        """200 where what is kept can be read; 503 where it cannot."""
        try:
            await self.context.costs.missing(Span(self.today, self.today))
        except LedgerUnavailable as error:
            self.context.log.warning("Not ready: %s", error)
            self.set_status(503)
            self.answer({"ready": False})
        else:
            self.answer({"ready": True})


class MetricsPage(CostHandler):
    """Its metrics, for Prometheus."""

    endpoint, public = "/metrics", True

    async def get(self) -> None:
        """Answer with them."""
        text = generate_latest(self.context.metrics.registry).decode()
        self.answer_text(text, CONTENT_TYPE_LATEST)


class NotThere(CostHandler):
    """Every other address."""

    async def get(self) -> None:
        """Not found."""
        self.send_error(404)
