"""Where a user stands, from what is in memory: no request of a user's server queries anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ...config.quotas import QuotaOptions
from ...quotas.stopping.notices import Notice
from ...status.chip import chip
from ...status.inputs import DecisionInputs
from ...status.reports import what_comes_next
from ...status.running import NO_GUARD, GuardView, RunningServer
from ...status.users import Forecast, UserStatus, UserStatuses, forecast
from ..launch.kept import kept_of
from ..launch.request import Offer, offers_of, paying_of, subject_of_user
from ..launch.servers import Pending, started_at
from ..pages.text import PolicyRow, could_run, filled_in, limited_in
from ..types import HubSpawner, HubUser
from . import models
from .switching import Switches


class Answers:
    """Makes the answers about users. `pending` are the launches under way."""

    def __init__(
        self,
        statuses: UserStatuses,
        options: QuotaOptions,
        pending: Pending,
        switches: Switches,
        guard: GuardView = NO_GUARD,
    ) -> None:
        self._statuses = statuses
        self._options = options
        self._pending = pending
        self._switches = switches
        self._guard = guard

    async def about(self, user: HubUser, server: str | None) -> models.UserQuotas:
        """Where a user stands, and what they could start: in place of `server`, or, where that is
        None, beside all that runs.
        """
        now = datetime.now(UTC)
        in_flight = self._pending.in_flight([user])
        status = await self._statuses.cached(subject_of_user(user), now, in_flight)
        offers = await self._offers(user, server)
        forecasts = []
        for offer in offers:
            forecasts.append(forecast(_without(status.inputs, server), offer.request))
            # Others are waiting for the Hub's event loop.
            await asyncio.sleep(0)
        return self._filled_in(user, status, offers, forecasts)

    async def _offers(self, user: HubUser, server: str | None) -> Sequence[Offer]:
        spawner = user.spawners.get(server or "") or user.spawner
        return await offers_of(
            user, spawner, self._options.policies.resources, paying_of(self._options)
        )

    def _filled_in(
        self,
        user: HubUser,
        status: UserStatus,
        offers: Sequence[Offer],
        forecasts: Sequence[Forecast],
    ) -> models.UserQuotas:
        language = self._options.texts
        banner = filled_in(status, forecasts, offers, language)
        short = chip(status, banner.starts, language) if banner else None
        return models.UserQuotas.of(
            status.decision,
            as_of=status.inputs.now,
            enforcement=self._options.enforcement,
            severity=status.severity,
            summary=models.Summary(
                severity=short.severity,
                text=short.text,
                until=datetime.fromisoformat(short.until.iso) if short.until else None,
                details=short.details,
            )
            if short
            else None,
            remark=banner.notice if banner else "",
            verdicts=tuple(_quotas(status, banner.policies if banner else ())),
            profiles=tuple(self._profiles(offers, forecasts)),
            servers=tuple(_servers(user.spawners.values(), self._guard.servers_of(user.name))),
            stops_servers=self._guard.enforced,
            notices=tuple(map(_notice, self._guard.notices_of(user.name))),
            switches=tuple(self._switches_of(user.name)),
        )

    def _profiles(
        self, offers: Sequence[Offer], forecasts: Sequence[Forecast]
    ) -> Iterator[models.Profile]:
        for offer, one in zip(offers, forecasts, strict=True):
            lasts = one.lasts
            yield models.Profile(
                slug=offer.request.profile,
                name=offer.request.profile_name,
                choices=dict(offer.choices),
                choices_text=offer.words,
                selected=offer.selected,
                fits=one.fits,
                denied=one.denied,
                lasts_seconds=None if lasts is None else lasts.total_seconds(),
                retry_time=one.decision.retry_time,
                text=could_run(one, self._options.texts),
            )

    def _switches_of(self, user: str) -> Iterator[models.SwitchReport]:
        for one in self._switches.of(user):
            yield models.SwitchReport(
                server=one.server,
                state=one.state,
                profile_name=one.wanted_name,
                previous_name=one.previous_name,
                requested=one.requested,
                message=self._options.texts.gettext(one.message),
            )


def _without(inputs: DecisionInputs, server: str | None) -> DecisionInputs:
    """As if this server of the user's stopped now."""
    if server is None:
        return inputs
    others = [one for one in inputs.running if one.server_name != server]
    return replace(inputs, running=others)


def _quotas(status: UserStatus, rows: Sequence[PolicyRow]) -> Iterator[models.Quota]:
    by_verdict = dict(
        zip(map(id, limited_in(status.decision.verdicts)), map(_words, rows), strict=True)
    )
    for outlook in status.outlooks:
        verdict = outlook.verdict
        words = by_verdict.get(id(verdict))
        yield models.Quota.of(verdict, **what_comes_next(status, outlook), words=words)


def _words(row: PolicyRow) -> models.Words:
    return models.Words(
        resource=row.resource,
        window=row.window,
        servers=row.servers,
        state=row.label,
        remaining=row.remaining,
        total=row.total,
        until=datetime.fromisoformat(row.until.iso) if row.until else None,
    )


def _servers(
    spawners: Iterable[HubSpawner], watched: Sequence[RunningServer]
) -> Iterator[models.RunningServer]:
    by_name = {one.name: one for one in watched}
    for spawner in list(spawners):
        if not spawner.active:
            continue
        kept = kept_of(spawner)
        yield models.RunningServer(
            name=spawner.name,
            profile=kept.profile if kept else "",
            profile_name=kept.profile_name if kept else "",
            started=started_at(spawner),
            pending=spawner.pending or None,
            watched=_watched(by_name.get(spawner.name)),
        )


def _watched(server: RunningServer | None) -> models.Watched | None:
    if server is None:
        return None
    return models.Watched(
        state=server.state,
        certain=server.certain,
        over_since=server.over_since,
        exhausted_at=server.exhausted_at,
        stops_at=server.stops_at,
        policies=server.policies,
    )


def _notice(notice: Notice) -> models.NoticeReport:
    return models.NoticeReport(
        id=notice.id,
        server=notice.server,
        policy=notice.policy,
        kind=notice.kind,
        until=notice.until,
        text=notice.text,
        at=notice.at,
    )
