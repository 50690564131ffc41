"""What a user over quota reads, wherever JupyterHub shows it, and that the Hub takes no harm."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from bs4 import BeautifulSoup

from tests.support.cluster import HOUR
from tests.support.hub import Hub
from tests.support.recorded_hub import LIMIT, OVER, Recorded, assert_explained
from tests.support.visitor import Visitor, text_of


def expected_retry_time(recorded: Recorded) -> float:
    """Worked out by hand: 20 GiB-hours evenly over two hours, ten an hour, of which 12 must
    have left a window of a day: 72 minutes after the usage began to leave it.
    """
    began = recorded.end - 3 * HOUR
    return began + 24 * HOUR + (OVER["over"] - LIMIT) / 10 * HOUR


def test_within_quota_a_server_starts(hub: Hub):
    visitor = Visitor(hub.url, "within")
    assert visitor.start().is_success
    visitor.wait_until_ready()
    visitor.stop()


def test_the_page_after_pressing_start(hub: Hub, recorded: Recorded):
    visitor, before = Visitor(hub.url, "over"), time.time()
    page = visitor.start()
    after = time.time()
    assert page.status_code == 429
    # A minute of rounding up, and one for the look-back over backfilled samples.
    wait, expected = int(page.headers["Retry-After"]), expected_retry_time(recorded)
    assert expected - after - 1 <= wait <= expected - before + 121
    assert_explained(text_of(page))
    assert "Usage quota reached" in text_of(page)
    soup = BeautifulSoup(page.text, "html.parser")
    shown = soup.find("time", class_="usage-quota-time")
    retry = datetime.strptime(shown["datetime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert before - 1 <= retry.timestamp() - wait <= after + 1
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
