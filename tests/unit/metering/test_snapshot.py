"""What is known of usage when the evidence of scrapes is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.metering.coverage import (
    ScrapeCoverage,
    covered_everywhere,
    never_covered,
)
from jupyterhub_usage_quotas.metering.snapshot import UsageSnapshot
from jupyterhub_usage_quotas.metering.sources.base import UsageSegment
from jupyterhub_usage_quotas.metering.timelines import timelines
from jupyterhub_usage_quotas.quotas.usage import ANY_SERVER
from tests.support.made_up import MadeUp

MINUTE = 60.0
START, SCRAPED = 600 * MINUTE, 660 * MINUTE
KEY = ("time", ANY_SERVER)


def segment(start: float, end: float, coverage: ScrapeCoverage) -> UsageSegment:
    """One server that Prometheus shows at every minute of it."""
    return UsageSegment(timelines({"ada": {KEY: [(start, end, 1.0)]}}, start, end), coverage)


def used(snapshot: UsageSnapshot) -> tuple[float, float]:
    """How much it says was used, and as of when."""
    now = datetime.fromtimestamp(SCRAPED + 5 * MINUTE, UTC)
    stale_after = timedelta(hours=1)
    usage = snapshot.reading("ada", "time", timedelta(hours=2), now, stale_after).usage
    return usage.between(0, 2 * SCRAPED), usage.covered_until.timestamp()


@pytest.mark.parametrize("newest", [True, False], ids=["newest", "catching up"])
@pytest.mark.parametrize("read_again", [0, 1, 5])
def test_what_is_shown_after_the_last_scrape_does_not_count(read_again, newest):
    """Prometheus shows a sample for a while after it was scraped, and what the Hub knows of running
    servers is added from the last scrape on: the same minute must not count twice. Also where the
    evidence that something was scraped is missing from an answer, and the samples are not.
    """
    known = UsageSnapshot.of(
        MadeUp({}), segment(START, SCRAPED, covered_everywhere(START, SCRAPED))
    )
    assert used(known) == (SCRAPED - START, SCRAPED)
    begin, end = SCRAPED - read_again * MINUTE, SCRAPED + MINUTE
    nothing_seen = segment(begin, end, never_covered(begin, end, "anything"))
    after = known.updated(nothing_seen, keep=0.0, newest=newest)
    total, until = used(after)
    assert until == SCRAPED
    assert total <= SCRAPED - START
