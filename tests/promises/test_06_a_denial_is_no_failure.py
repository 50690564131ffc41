"""Promise 6: a denial is no failure of the Hub, and neither is any failure of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_prometheus import USER, counted, manager, prometheus, spawner
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.recorded_hub import Recorded, quotas
from tests.support.visitor import Visitor

__all__ = ["prometheus"]

FAILOVERS = "jupyterhub_usage_quotas_failovers_total"


@pytest.fixture(scope="module", params=PYTHONS)
def hub(request, recorded: Recorded, tmp_path_factory) -> Iterator[Hub]:
    """One of its own: the last of these tests ends it."""
    directory = tmp_path_factory.mktemp(f"failures{request.param}")
    with running_hub(directory, request.param, quotas(recorded)) as running:
        yield running


async def test_a_bug_of_ours_is_failover_and_keeps_its_traceback(prometheus, caplog, monkeypatch):
    async def faulty(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    before = counted(FAILOVERS, reason="internal_error")
    asked = manager(failover_open=True)
    monkeypatch.setattr(asked.meter, "read", faulty)
    await asked.pre_spawn_start(USER, spawner())
    await asked.aclose()
    assert any(record.exc_info for record in caplog.records)
    assert counted(FAILOVERS, reason="internal_error") == before + 1


def test_denials_are_counted_and_logged_without_a_traceback(hub: Hub):
    metric = "jupyterhub_usage_quotas_decisions_total"
    before = hub.metric(metric, outcome="denied", enforcement="enforce")
    allowed = hub.metric(metric, outcome="allowed", enforcement="enforce")
    Visitor(hub.url, "over").start()
    assert hub.metric(metric, outcome="denied", enforcement="enforce") == before + 1
    within = Visitor(hub.url, "within")
    within.start()
    within.wait_until_ready()
    within.stop()
    assert hub.metric(metric, outcome="allowed", enforcement="enforce") == allowed + 1
    requests = "jupyterhub_usage_quotas_prometheus_request"
    assert hub.metric(f"{requests}s_total", outcome="success") > 0
    assert hub.metric(f"{requests}_duration_seconds_count") > 0
    assert hub.metric("jupyterhub_usage_quotas_usage_age_seconds") < 7200
    log = hub.program.output()
    assert "Denied a launch: 'over': 'memory per 1 day for everyone' used 20 of 8 GiB-hours" in log
    assert "Traceback" not in log
    assert "NoneType: None" not in log


@pytest.mark.parametrize("times", [6])
def test_denials_in_a_row_do_not_end_the_hub(hub: Hub, times: int):
    """JupyterHub ends itself two seconds after the fifth consecutive failure, if it counts."""
    visitor = Visitor(hub.url, "over")
    for _ in range(times):
        assert visitor.start().status_code == 429
    within = Visitor(hub.url, "within")
    within.start()
    within.wait_until_ready()  # takes longer than the two seconds
    within.stop()
    assert "consecutive spawn" not in hub.program.output()
    assert hub.program.exit_code is None


def test_denials_neither_hide_nor_add_to_real_failures(hub: Hub):
    """Four real failures with denials between them are four; the fifth ends the Hub.

    The last test of this file: the Hub is gone after it.
    """
    over, broken = Visitor(hub.url, "over"), Visitor(hub.url, "broken")
    for _ in range(4):
        assert broken.start().status_code == 500
        assert over.start().status_code == 429
        assert over.start().status_code == 429
    assert "4 consecutive spawns failed" in hub.program.output()
    assert "Aborting" not in hub.program.output()
    assert broken.start().status_code == 500
    assert hub.program.wait_for_exit() == 1
    assert "Aborting due to 5 consecutive spawn failures" in hub.program.output()
