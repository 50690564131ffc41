"""The options about weekly summaries: who gets one, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from traitlets import Bool, HasTraits, TraitError, default, validate

from ..quotas.messages import wrong
from .traits import Anything

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEK: Final = 7
_MOMENT = re.compile(r"(\w+) (\d\d):(\d\d)(?: (\S+))?")
A_MOMENT: Final = 'a day and a time, for example "Sunday 18:00" or "Friday 12:00 Europe/Zurich"'


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of day on a day of the week, in a time zone."""

    weekday: int
    hour: int
    minute: int
    zone: ZoneInfo

    def last(self, now: datetime) -> datetime:
        """The latest one that is not after `now`, in UTC."""
        local = now.astimezone(self.zone)
        day = local.date() - timedelta(days=(local.weekday() - self.weekday) % WEEK)
        for weeks in (0, 1):
            one = day - timedelta(days=weeks * WEEK)
            at = datetime(one.year, one.month, one.day, self.hour, self.minute, tzinfo=self.zone)
            if at <= now:
                break
        return at.astimezone(UTC)


class SummaryOptions(HasTraits):
    """The part of `UsageQuotaManager` about weekly summaries."""

    weekly_summary = Anything(
        help="""
        The groups whose members get a summary of what is left of their quotas once a week, by the
        targets of `notice_webhooks`, `notice_urls` and `on_notice`: for example a group that users
        who want it are in. True is everybody, an empty list nobody.
        """
    ).tag(config=True)

    weekly_summary_to_owners = Bool(
        False,
        help="""
        Whether the members of groups that `may_grant` names get a weekly summary of the groups to
        whose members they may give more: how many use servers, and whose quota is used up.
        """,
    ).tag(config=True)

    weekly_summary_at = Anything(
        help="""
        When weekly summaries are sent: a day and a time, and a time zone where it is not UTC, for
        example "Friday 12:00 Europe/Zurich".
        """
    ).tag(config=True)

    @default("weekly_summary")
    def _weekly_summary_default(self) -> list[str]:
        return []

    @default("weekly_summary_at")
    def _weekly_summary_at_default(self) -> str:
        return "Sunday 18:00"

    @validate("weekly_summary")
    def _are_groups(self, proposal: Any) -> Any:
        given = proposal.value
        if isinstance(given, bool):
            return given
        if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
            raise TraitError(wrong(got=given, expected="a list of groups, True or False"))
        return list(given)

    @validate("weekly_summary_at")
    def _is_a_moment(self, proposal: Any) -> str:
        moment_of(proposal.value)
        return str(proposal.value)

    def wants_summary(self, groups: frozenset[str]) -> bool:
        """Whether a user who is in these groups gets a summary."""
        if isinstance(self.weekly_summary, bool):
            return self.weekly_summary
        return not groups.isdisjoint(self.weekly_summary)

    @property
    def summary_moment(self) -> Moment:
        """When weekly summaries are sent."""
        return moment_of(self.weekly_summary_at)


def moment_of(written: object) -> Moment:
    """What an admin wrote. Raises `TraitError`."""
    found = _MOMENT.fullmatch(written) if isinstance(written, str) else None
    if found is None or found[1].capitalize() not in DAYS:
        raise TraitError(wrong(got=written, expected=A_MOMENT))
    try:
        zone = ZoneInfo(found[4] or "UTC")
        at = datetime(2000, 1, 1, int(found[2]), int(found[3]), tzinfo=zone)
    except (ValueError, OSError, KeyError):
        raise TraitError(wrong(got=written, expected=A_MOMENT)) from None
    return Moment(DAYS.index(found[1].capitalize()), at.hour, at.minute, zone)
