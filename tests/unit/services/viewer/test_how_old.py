"""A page says when usage was last known, where that is not just now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from tests.support.viewer import running_viewer, the_minute, token_of

POLICY = {"resource": "time", "limit": "9 hours", "window": 7, "scope": {"everyone": True}}


@pytest.mark.parametrize(("minutes", "said"), [(1, False), (6, True)])
def test_usage_of_some_minutes_ago_says_so(minutes, said):
    until = the_minute() - timedelta(minutes=minutes)
    used = Bucket(until.timestamp() - 3600, until.timestamp(), 3600.0)
    with running_viewer({"UsageQuotaManager": {"policy": [POLICY]}}) as viewer:
        viewer.hub.add_user("ada")
        viewer.meter.readings["ada"] = {"time": Fresh(Usage((used,), until))}
        page = BeautifulSoup(viewer.get("", token_of("ada")).text, "html.parser")
    shown = page.select(".usage-quota-known")
    assert len(shown) == said
    for one in shown:
        assert "Last known:" in one.get_text()
        # For the script, which shows it in the visitor's time zone.
        assert one.time["datetime"].startswith(f"{until:%Y-%m-%dT%H:%M}")
