"""The dashboard of a German deployment in a French browser: one language, one form of dates."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from tests.support.viewer import PREFIX, running_viewer, the_minute, token_of

from .conftest import patient_context, picture

GIB_HOUR = 1024.0**3 * 3600
RULE = {
    "name": "week",
    "resource": "memory",
    "limit": "8 GiB-hours",
    "window": 7,
    "scope": {"everyone": True},
}
DAY = "(Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag)"
MONTH = "(Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember)"
LONG = re.compile(rf"{DAY}, \d\d?\. {MONTH} \d{{4}}, \d\d:\d\d ME(S)?Z")
SHORT = re.compile(r"\d\d?\. \w+\.? \d{4}, \d\d:\d\d")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    sections = {"UsageQuotaManager": {"policy": [RULE]}, "UsageConfig": {"language": "de"}}
    now = the_minute()
    at = now.timestamp()
    buckets = (
        Bucket(at - 30 * 3600, at - 29 * 3600, 7 * GIB_HOUR),
        Bucket(at - 7200, at - 3600, 2 * GIB_HOUR),
    )
    with running_viewer(sections) as viewer:
        viewer.hub.add_user("ada")
        viewer.meter.readings = {"ada": {"memory": Fresh(Usage(buckets, now, 1.0))}}
        context = patient_context(
            browser,
            timezone_id="Europe/Berlin",
            locale="fr-FR",
            extra_http_headers={"Authorization": f"token {token_of('ada')}"},
        )
        made = context.new_page()
        made.goto(viewer.url + PREFIX, wait_until="load")
        # Days are those of the browser once the page has said which they are.
        made.wait_for_selector('#usage-quota-live[data-zone="Europe/Berlin"]', state="attached")
        yield made
        context.close()


def test_all_dates_are_in_the_language_of_the_page_and_the_zone_of_the_browser(page: Page):
    texts = page.locator("main time").all_inner_texts()
    assert len(texts) >= 5
    assert [one for one in texts if not (LONG.fullmatch(one) or SHORT.fullmatch(one))] == []
    bars = page.locator(".usage-quota-bar")
    for said in (bars.nth(at).get_attribute("aria-label") or "" for at in range(bars.count())):
        assert re.match(rf"{DAY}, \d\d?\. {MONTH}: ", said), said
    chip = page.locator("#usage-quota-chip").inner_text()
    assert re.fullmatch(r"\s*Nutzungskontingent:\s+Arbeitsspeicher aufgebraucht bis\s+.+", chip)
    assert page.locator("main").get_attribute("lang") == "de"
    picture(page, "dashboard-german", whole=True)


def test_what_the_script_says_is_in_that_language_too(page: Page):
    page.route("**/*", lambda route: route.abort())
    page.evaluate(
        """() => {
            const now = Date.now;
            Date.now = () => now() + 20000;
            document.dispatchEvent(new Event("visibilitychange"));
            Date.now = now;
        }"""
    )
    trouble = page.locator("#usage-quota-trouble")
    trouble.wait_for(state="visible")
    said = trouble.inner_text()
    assert said.startswith("Diese Seite konnte nicht aktualisiert werden")
    assert re.search(r"sind von \w\w\.? \d\d:\d\d ME(S)?Z\.", said), said
