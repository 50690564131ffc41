"""A Hub with weekly budgets by tier and role, in the words of those who run one: what runs out is
denied with 403 and the time used, and the other tier goes on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.cluster import NAMESPACE
from tests.support.hub import PYTHONS, running_hub
from tests.support.programs import free_port
from tests.support.recorded_hub import Recorded
from tests.support.visitor import Visitor, text_of

CONFIG = """
import os
from jupyterhub_usage_quotas import setup_usage_quotas

os.environ["QUOTA_USER_CPU_S"] = "3600"
setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {prometheus!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.stale_after = 7200.0
c.UsageConfig.refresh_interval = 2.0
c.UsageViewer.url = "http://127.0.0.1:{service_port}"
c.UsageQuotaManager.weekly_budgets = {{
    "starts": {starts!r},
    "budgets": {{"user": {{"gpu": "5 h"}}}},
}}
c.UsageQuotaManager.failover_open = False
c.UsageQuotaManager.denied_status = 403
c.UsageQuotaManager.contact = "Wait until the week is over, or ask your teacher."
c.UsageQuotaManager.profile_of_server = lambda spawner: (
    "bme-gpu-dedicated" if spawner.user_options.get("size") == ["gpu"] else "mini-cpu"
)
c.Spawner.options_form = lambda spawner: (
    "<input name=size>" if spawner.user.name.endswith("-form") else ""
)
"""


def dashboard_of(visitor: Visitor) -> str:
    return text_of(visitor.http.get("/services/usage-quota/"))


def assert_says_what_is_used(text: str) -> None:
    # Two hours without a profile, so of the tier cpu, in the recorded history.
    assert "You have used up your server time quota: 2h of 1h this week." in text
    assert "Wait until the week is over, or ask your teacher." in text


@pytest.mark.parametrize("version", PYTHONS)
def test_a_used_up_tier_is_denied_with_403_and_the_time_used(version, recorded: Recorded, tmp_path):
    # A week that has begun some days ago, whatever day it is.
    began = datetime.now(UTC) - timedelta(days=3)
    config = CONFIG.format(
        prometheus=recorded.url,
        namespace=NAMESPACE,
        service_port=free_port(),
        starts=f"{began:%A}".lower(),
    )
    with running_hub(tmp_path, version, config) as hub:
        over = Visitor(hub.url, "over")
        answer = over.start_by_api()
        assert (answer.status_code, answer.json()["status"]) == (403, 403)
        assert_says_what_is_used(answer.json()["message"])
        assert int(answer.headers["Retry-After"]) > 0
        page = over.start()
        assert page.status_code == 403
        assert_says_what_is_used(text_of(page))
        assert over.servers() == {}

        form = Visitor(hub.url, "over-form")
        denied = form.submit_options(size="cpu")
        assert denied.status_code == 403
        assert_says_what_is_used(text_of(denied))
        assert form.submit_options(size="gpu").is_success
        form.wait_until_ready()
        form.stop()

        # Both tiers on the Hub's pages, with remaining and total.
        home = text_of(over.http.get("/hub/home"))
        assert "Only servers with the profile *gpu* count. 5h 5h" in home
        assert "Only servers without the profile *gpu* count. 0s" in home
        # And on the dashboard, which is another process: what the Hub's variables say is there.
        over.wait_until(lambda: "Remaining 0s Used this week 2h Allowance 1h" in dashboard_of(over))
        shown = dashboard_of(over)
        assert "gpu-user-week" in shown
        assert "Remaining 5h Used this week 0s Allowance 5h" in shown
