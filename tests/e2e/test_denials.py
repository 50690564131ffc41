"""What a user over quota reads, wherever JupyterHub shows it, and that the Hub takes no harm."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from bs4 import BeautifulSoup

from tests.support.hub import Hub
from tests.support.visitor import Visitor, text_of

from .conftest import HOUR, LIMIT, OVER, Recorded

TIME = re.compile(r"\w+day, \d+ \w+ 20\d\d, \d\d:\d\d UTC")


def expected_retry_time(recorded: Recorded) -> float:
    """Worked out by hand: 20 GiB-hours evenly over two hours, ten an hour, of which 12 must
    have left a window of a day: 72 minutes after the usage began to leave it.
    """
    began = recorded.end - 3 * HOUR
    return began + 24 * HOUR + (OVER["over"] - LIMIT) / 10 * HOUR


def assert_explained(text: str) -> None:
    assert f"You have used up your memory quota: 20 of {LIMIT} GiB-hours in the last day." in text
    assert TIME.search(text), text
    assert "Ask <help> at https://help.example.org/quota" in text


def seconds_left(recorded: Recorded) -> float:
    return expected_retry_time(recorded) - time.time()


def test_within_quota_a_server_starts(hub: Hub):
    visitor = Visitor(hub.url, "within")
    assert visitor.start().is_success
    visitor.wait_until_ready()
    visitor.stop()


def test_the_page_after_pressing_start(hub: Hub, recorded: Recorded):
    page = Visitor(hub.url, "over").start()
    assert page.status_code == 429
    # A minute of rounding up, and one for the look-back over backfilled samples.
    wait = int(page.headers["Retry-After"])
    assert seconds_left(recorded) - 5 <= wait <= seconds_left(recorded) + 121
    assert_explained(text_of(page))
    assert "Usage quota reached" in text_of(page)
    soup = BeautifulSoup(page.text, "html.parser")
    shown = soup.find("time", class_="usage-quota-time")
    retry = datetime.strptime(shown["datetime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(retry.timestamp() - time.time() - wait) < 10
    assert soup.find("a", href="https://help.example.org/quota")
    assert soup.find("help") is None


def test_the_rest_api(hub: Hub):
    visitor = Visitor(hub.url, "over")
    answer = visitor.start_by_api()
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["status"] == 429
    assert_explained(answer.json()["message"])
    assert "<br>" not in answer.json()["message"]
    assert visitor.servers() == {}


def test_the_pending_page(hub: Hub):
    visitor = Visitor(hub.url, "over")
    visitor.start()
    page = visitor.pending_page()
    assert page.status_code == 429
    assert_explained(text_of(page))


def test_a_named_server(hub: Hub):
    answer = Visitor(hub.url, "over-named").start_by_api("second")
    assert answer.status_code == 429
    assert_explained(answer.json()["message"])


def test_the_page_with_server_options(hub: Hub):
    page = Visitor(hub.url, "over-form").submit_options(size="large")
    assert page.status_code == 429
    assert int(page.headers["Retry-After"]) > 0
    assert_explained(text_of(page))
    assert "<input name=size>" in page.text


def test_a_pool_that_its_members_used_up(hub: Hub):
    """Who used nothing is denied because of what others did, and is told so; the year ends on the
    first of a month, at midnight UTC.
    """
    answer = Visitor(hub.url, "newcomer").start_by_api()
    assert answer.status_code == 429
    message = answer.json()["message"]
    said = "The memory quota shared with others (“team budget”) is used up: 7 of 7 GiB-hours"
    assert f"{said} this year." in message
    assert re.search(r"again from \w+, 1 \w+ 20\d\d, 00:00 UTC", message)


def test_a_user_name_is_never_markup(hub: Hub):
    page = Visitor(hub.url, "over<b>&").start()
    assert_explained(text_of(page))
    assert BeautifulSoup(page.text, "html.parser").find("b") is None


def test_the_admins_hook_ran_for_everybody(hub: Hub):
    names = (hub.program.log.parent / "hook").read_text().split()
    assert {"within", "over", "over-form", "over-named"} <= set(names)


def test_denials_are_counted_and_logged_without_a_traceback(hub: Hub):
    metric = "jupyterhub_usage_quotas_decisions_total"
    before = hub.metric(metric, outcome="denied", enforcement="enforce")
    Visitor(hub.url, "over").start()
    assert hub.metric(metric, outcome="denied", enforcement="enforce") == before + 1
    assert hub.metric(metric, outcome="allowed") >= 1
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
