"""The handlers of the JSON API; `openapi.py` describes its parameters, `models.py` its answers."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from tornado.web import HTTPError

from ....quotas.charge import NOT_MEASURED
from ....quotas.messages import one_of, wrong
from ....quotas.resource import Resource
from ....quotas.serialize import coverage_of, iso, state_of
from ....quotas.subject import Subject
from ....quotas.usage import Fresh, Stale, Usage
from ....quotas.verdict import Request
from ....status.reports import report_forecast
from ....status.users import forecast
from ...web.json_handler import JsonHandler
from ...web.openapi import CSV, JSON
from ...web.params import BadParameter, step_of
from ...web.spreadsheet import Cell, as_csv
from ..context import ViewerContext
from ..sessions import known_usage, of_servers, sessions, slots, unit_of
from ..table import Page, selected
from . import models, openapi, serialize

MOST_SLOTS = 2000
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


class ViewerApi(JsonHandler):
    """An endpoint of the viewer's API."""

    context: ViewerContext


class Me(ViewerApi):
    """`me`: where the visitor stands."""

    operation = openapi.ME

    async def get(self) -> None:
        """The status of the user of the session or token; a service has none."""
        subject = self.permissions.visitor
        if subject is None:
            raise HTTPError(404)
        await self.give_status(await self.subject(subject.name))

    async def give_status(self, subject: Subject) -> None:
        """Answer with a user's status."""
        status = await self.context.statuses.of(subject, self.now)
        self.answer(serialize.status(status, self.context.configured.manager.enforcement))

    head = get


class User(Me):
    """`users/{name}`: where a user stands."""

    operation = openapi.USER

    async def get(self, name: str) -> None:  # type: ignore[override]
        """The status of a user."""
        await self.give_status(await self.subject(name))

    head = get  # type: ignore[assignment]


class Users(ViewerApi):
    """`users`: the status of all users that the visitor may see."""

    operation = openapi.USERS

    async def get(self) -> None:
        """A page of rows."""
        if not self.permissions.sees_others:
            raise HTTPError(403)
        page = Page.of(self.query)
        everybody = await self.context.statuses.of_everyone(self.now)
        visible = [one for one in everybody if self.permissions.may_read(one.subject)]
        found = selected(visible, page.filter, self.context.tiers)
        self.answer(
            models.Rows(
                as_of=self.now,
                items=tuple(serialize.row(one) for one in page.rows(found)),
                total=len(found),
                offset=page.offset,
                limit=page.limit,
                next=page.following(self.request.path, len(found)),
            )
        )

    head = get


class Policies(ViewerApi):
    """`policies`: the policies that the visitor may know of."""

    operation = openapi.POLICIES

    async def get(self) -> None:
        """All of them for those who may see everybody, else those that cover the visitor."""
        policies, permissions = self.context.statuses.policies, self.permissions
        seen = tuple(policies)
        if not permissions.everybody:
            if permissions.visitor is None or not permissions.may_read(permissions.visitor):
                raise HTTPError(403)
            status = await self.context.statuses.of(permissions.visitor, self.now)
            own = [one.allotment.candidates for one in status.decision.verdicts]
            seen = tuple(one for one in seen if any(one in candidates for candidates in own))
        whole = permissions.everybody
        items = tuple(serialize.policy(one, policies, whole=whole) for one in seen)
        self.answer(models.Policies(items=items))

    head = get


class UsageOverTime(ViewerApi):
    """`users/{name}/usage`: the course of one resource."""

    operation = openapi.USAGE

    async def get(self, name: str) -> None:
        """What was used in each interval."""
        subject = await self.subject(name)
        policies = self.context.statuses.policies
        measured = sorted(policies.measured_over_time)
        resource = self.query.choice("resource", measured, "")
        if not resource:
            expected = one_of(measured) if measured else ""
            raise BadParameter("resource", wrong("is missing", expected=expected))
        start, end, step = self._span()
        inputs = await self.context.statuses.inputs(subject, self.now)
        reading = inputs.usage.get(resource, NOT_MEASURED)
        usage = reading.usage if isinstance(reading, Fresh | Stale) else None
        unit = unit_of(policies, resource)
        found = slots(usage, start, end, step) if usage else []
        self.answer(
            models.UsageOverTime(
                **vars(state_of(reading)),
                **vars(coverage_of(usage)),
                user=subject.name,
                resource=resource,
                unit=unit.symbol,
                start=start,
                end=end,
                step_seconds=int(step.total_seconds()),
                buckets=tuple(serialize.bucket(one, unit) for one in found) if usage else None,
            )
        )

    head = get

    def _span(self) -> tuple[datetime, datetime, timedelta]:
        earliest = self.now - (self.context.statuses.policies.reach or timedelta(days=1))
        start = max(self.query.instant("from", earliest), earliest)
        end = min(self.query.instant("to", self.now), self.now)
        if start >= end:
            raise BadParameter("from", "must be before `to`, and not in the future")
        return start, end, step_of(self.query, start, end, MOST_SLOTS, STEPS)


class Sessions(ViewerApi):
    """`users/{name}/sessions`: the servers behind the usage."""

    operation = openapi.SESSIONS

    async def get(self, name: str) -> None:
        """JSON, or CSV for `format=csv` or where that is all that is accepted."""
        subject = await self.subject(name)
        accepted = self.request.headers.get("Accept", "")
        usual = "csv" if CSV in accepted and JSON not in accepted else "json"
        form = self.query.choice("format", ("json", "csv"), usual)
        policies = self.context.statuses.policies
        inputs = await self.context.statuses.inputs(subject, self.now)
        readings = of_servers(inputs.usage, policies)
        found = tuple(serialize.session(one, policies) for one in sessions(readings, self.now))
        if form == "csv":
            self.set_header("Content-Disposition", 'attachment; filename="usage-sessions.csv"')
            self.answer_text(self._csv(found), CSV)
            return
        usages: list[Usage] = list(known_usage(readings).values())
        least = min(usages, key=_how_far_known, default=None)
        states = {resource: state_of(reading) for resource, reading in sorted(readings.items())}
        self.answer(
            models.Sessions(
                **vars(coverage_of(least)),
                user=subject.name,
                unknown={
                    resource: one.reason for resource, one in states.items() if one.state != "fresh"
                },
                sessions=found if usages or not readings else None,
            )
        )

    head = get

    def _csv(self, rows: Sequence[models.Session]) -> str:
        resources = sorted({resource for one in rows for resource in one.used})
        policies = self.context.statuses.policies
        units = {resource: unit_of(policies, resource).symbol for resource in resources}
        columns = [f"{resource} ({units[resource]})" for resource in resources]

        def cells(one: models.Session) -> Sequence[Cell]:
            server, used = one.server, one.used
            named = (server.name, server.profile, server.profile_name)
            amounts = (used[each].amount if each in used else "" for each in resources)
            ongoing = "yes" if one.ongoing else "no"
            return (*named, iso(one.start), iso(one.end), ongoing, *amounts)

        named = ("server", "profile", "profile name", "from", "to", "ongoing")
        return as_csv([*named, *columns], map(cells, rows))


def _how_far_known(usage: Usage) -> tuple[datetime, float]:
    return usage.covered_until, math.inf if usage.coverage is None else usage.coverage


class Forecast(ViewerApi):
    """`users/{name}/forecast`: how long a server could run if it were started now."""

    operation = openapi.FORECAST

    @property
    def parameters(self) -> Collection[str]:
        """See `JsonHandler.parameters`: servers ask for what is configured."""
        return openapi.forecast_operation(self._resources).query_names

    @property
    def _resources(self) -> Collection[Resource]:
        return self.context.statuses.policies.resources.values()

    async def get(self, name: str) -> None:
        """What a server asks for is in the parameters, because only the Hub knows profiles."""
        subject = await self.subject(name)
        asked = {
            one.name: (self.query.in_bytes if one.in_bytes else self.query.amount)(one.name)
            for one in self._resources
            if one.asked
        }
        request = Request(
            subject,
            self.query.text("server"),
            self.query.text("profile"),
            profile_name=self.query.text("profile_name"),
        ).asking(asked)
        inputs = await self.context.statuses.inputs(subject, self.now)
        self.answer(report_forecast(forecast(inputs, request)))

    head = get


class OpenApi(ViewerApi):
    """`openapi.json`: the description of this API, for everybody."""

    operation = openapi.OPENAPI
    needs_login = False

    async def get(self) -> None:
        """The document."""
        policies = self.context.statuses.policies
        measured, resources = sorted(policies.measured_over_time), policies.resources.values()
        self.answer(openapi.document(self.hub_auth.base_url, measured, resources))

    head = get
