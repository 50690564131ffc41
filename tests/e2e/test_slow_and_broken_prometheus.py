"""What users see when Prometheus is slow, or away: never a hanging launch, never a wrong word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.delaying_proxy import delaying_proxy
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.programs import free_port
from tests.support.recorded_hub import Recorded, assert_explained, quotas
from tests.support.visitor import Visitor, text_of


@pytest.fixture(scope="module", params=PYTHONS)
def slow_hub(request, recorded: Recorded, tmp_path_factory) -> Iterator[Hub]:
    """Every answer of Prometheus comes 1.5 s late: a launch outlasts the page's second."""
    directory = tmp_path_factory.mktemp(f"slow{request.param}")
    with delaying_proxy(recorded.url, 1.5) as url:
        config = quotas(recorded) + f"\nc.UsageConfig.prometheus_url = {url!r}\n"
        with running_hub(directory, request.param, config) as running:
            yield running


@pytest.fixture(scope="module", params=PYTHONS)
def cut_off_hub(request, recorded: Recorded, tmp_path_factory) -> Iterator[Hub]:
    """Nothing listens where Prometheus should be, and the Hub fails closed."""
    directory = tmp_path_factory.mktemp(f"cutoff{request.param}")
    url = f"http://127.0.0.1:{free_port()}"
    config = quotas(recorded) + f"\nc.UsageConfig.prometheus_url = {url!r}\n"
    with running_hub(directory, request.param, config) as running:
        yield running


def test_a_denial_on_the_pending_page(slow_hub: Hub):
    visitor = Visitor(slow_hub.url, "over")
    page = visitor.press_start()
    assert "Your server is starting up" in text_of(page)
    events = list(visitor.progress())
    assert events[-1]["failed"] is True
    assert "You have used up your memory quota: 20 of 8 GiB-hours" in events[-1]["message"]
    assert "<time class=" in events[-1]["html_message"]
    page = visitor.pending_page()
    assert page.status_code == 429
    assert_explained(text_of(page))
    assert "Traceback" not in slow_hub.program.output()


def test_a_visitor_with_patience_sees_what_became_of_a_launch(slow_hub: Hub):
    page = Visitor(slow_hub.url, "over-named").start()
    assert page.status_code == 429
    assert_explained(text_of(page))


def test_failing_closed_blames_nobody(cut_off_hub: Hub):
    visitor = Visitor(cut_off_hub.url, "within")
    page = visitor.start()
    assert page.status_code == 503
    text = text_of(page)
    assert "the Hub cannot check usage quotas at the moment" in text
    assert "not because of anything you did" in text
    assert "quota reached" not in text
    answer = visitor.start_by_api()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) == 60


def test_the_cause_is_logged_once_and_counted_each_time(cut_off_hub: Hub):
    visitor = Visitor(cut_off_hub.url, "within")
    counted = "jupyterhub_usage_quotas_failovers_total"
    before = cut_off_hub.metric(counted, reason="unreachable")
    for _ in range(6):
        assert visitor.start_by_api().status_code == 503
    assert cut_off_hub.metric(counted, reason="unreachable") == before + 6
    log = cut_off_hub.program.output()
    assert log.count("Usage is not known (unreachable") == 1
    assert "launches are denied (failover_open = False)" in log
    assert "Traceback" not in log
    assert "consecutive spawn" not in log


def test_failing_open_starts_the_server(recorded: Recorded, tmp_path):
    config = (
        quotas(recorded)
        + f"""
c.UsageConfig.prometheus_url = "http://127.0.0.1:{free_port()}"
c.UsageQuotaManager.failover_open = True
"""
    )
    with running_hub(tmp_path, "6", config) as hub:
        visitor = Visitor(hub.url, "over")
        visitor.start()
        visitor.wait_until_ready()
        metric = "jupyterhub_usage_quotas_decisions_total"
        assert hub.metric(metric, outcome="failover_open") == 1
        visitor.stop()


def test_shadow_counts_and_logs_but_starts_the_server(recorded: Recorded, tmp_path):
    config = quotas(recorded) + '\nc.UsageQuotaManager.enforcement = "shadow"\n'
    with running_hub(tmp_path, "6", config) as hub:
        visitor = Visitor(hub.url, "over")
        visitor.start()
        visitor.wait_until_ready()
        metric = "jupyterhub_usage_quotas_decisions_total"
        assert hub.metric(metric, outcome="denied", enforcement="shadow") == 1
        assert "Would deny (shadow) a launch: 'over'" in hub.program.output()
        visitor.stop()
