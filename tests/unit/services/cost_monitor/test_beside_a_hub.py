"""The cost monitor beside a Hub: they call the Hub the same, and what Prometheus does not say the
Hub says all the same.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.costs import make_cost_monitor
from jupyterhub_usage_quotas.errors import HubUnavailable, LedgerUnavailable, UsageUnknown
from jupyterhub_usage_quotas.hub.guard.making import open_post
from jupyterhub_usage_quotas.hub.launch.enforcement import UsageQuotaManager
from jupyterhub_usage_quotas.services.cost_monitor import app as monitoring
from jupyterhub_usage_quotas.services.web.environment import ServiceEnvironment
from tests.support import account

LONG = "n" * 63


def configured(folder, **more):
    config = Config()
    config.UsageConfig.prometheus_url = "http://prometheus.test"
    config.UsageConfig.ledger_url = f"sqlite:///{folder / 'hub.sqlite'}"
    config.UsageConfig.update(more)
    config.CostMonitor = Config(
        sources=["focus"],
        focus_files=["nothing.csv"],
        prices=account.PRICES,
        allow_without_token=True,
    )
    return config


@pytest.mark.parametrize("base", ["/", f"/{'b' * 250}/"])
async def test_the_hub_and_its_cost_monitor_call_it_the_same(tmp_path, monkeypatch, base):
    called = []
    monkeypatch.setattr(monitoring, "Reports", lambda _monitor, _costs, hub: called.append(hub))
    config = configured(tmp_path, hub_namespace=LONG)
    monitor = make_cost_monitor(config)
    around = ServiceEnvironment.of(
        {"JUPYTERHUB_BASE_URL": base, "JUPYTERHUB_API_TOKEN": "of-the-service"}, "cost-monitor"
    )
    context = monitoring.make_context(monitor, around)
    service = monitoring.make_cost_service(monitor, around, context)
    await service.aclose()
    hub = SimpleNamespace(base_url=base, log=monitoring.LOG)
    assert called == [open_post(hub, UsageQuotaManager(config=config)).hub]
    assert called[0].startswith(f"{LONG}{base}"[:200])
    assert len(called[0]) <= 255


class Noted:
    """What is noted, and what fails."""

    def __init__(self, *, prometheus=None, hub=None, ledger=None) -> None:
        self.prometheus, self.hub_fails, self.ledger = prometheus, hub, ledger
        self.without, self.noted = None, {}
        self.hub = self
        self.costs = SimpleNamespace(usage=SimpleNamespace(note_groups=self.keep))
        self.clock = lambda: account.NOW

    async def note_groups(self, *, without):
        self.without = set(without)
        if self.prometheus:
            raise self.prometheus

    async def subjects(self):
        if self.hub_fails:
            raise self.hub_fails
        return [SimpleNamespace(name="ada", groups={"physics", "maths"})]

    async def keep(self, day, hub, groups):
        if self.ledger:
            raise self.ledger
        self.noted[day, hub] = groups


async def note(tmp_path, one, caplog):
    monitor = make_cost_monitor(configured(tmp_path, hub_namespace="jhub"))
    await monitoring.note_groups(monitor, one, one)
    return caplog.text


async def test_groups_of_the_hub_are_noted_whatever_prometheus_says(tmp_path, caplog):
    one = Noted(prometheus=UsageUnknown("no answer in time"))
    said = await note(tmp_path, one, caplog)
    assert one.without == {"jhub"}
    assert one.noted == {(account.NOW.date(), "jhub"): {"ada": ["maths", "physics"]}}
    assert "Groups are not known from Prometheus: no answer in time" in said


@pytest.mark.parametrize("fails", ["hub", "ledger"])
async def test_what_else_fails_is_said(tmp_path, caplog, fails):
    failure = {"hub": HubUnavailable, "ledger": LedgerUnavailable}[fails]("away")
    one = Noted(**{fails: failure})
    assert "Groups of the Hub are not known: away" in await note(tmp_path, one, caplog)
    assert one.noted == {}


async def test_without_a_hub_all_are_the_exporters(tmp_path, caplog):
    one = Noted()
    one.hub = None
    assert await note(tmp_path, one, caplog) == ""
    assert (one.without, one.noted) == (set(), {})
