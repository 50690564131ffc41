"""The profile that is selected when the page with server options opens: one that may start."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.paths import ROOT

from .conftest import patient_context

SCRIPT = (ROOT / "jupyterhub_usage_quotas/hub/pages/static/pages.js").read_text()
TIME = '<time class="usage-quota-when" lang="de" data-form="{weekday_short}, {day}. {month} {time}"'


def form(denied: tuple[str, ...], selected: str) -> str:
    """A form as KubeSpawner makes it, below our table."""
    names = ("small", "large", "gpu")
    rows = "".join(
        f'<tr data-profile="{name}" {"data-denied" if name in denied else ""}><th>{name}</th>'
        f'<td>Nicht vor {TIME} datetime="2026-03-04T18:05:00Z">Mi. 18:05 UTC</time></td></tr>'
        for name in names
    )
    radios = "".join(
        f'<label for="{name}"><input type="radio" name="profile" id="{name}" value="{name}"'
        f" {'checked' if name == selected else ''}><h3>{name}</h3></label>"
        for name in names
    )
    table = (
        f'<table id="usage-quota-profiles" data-could-run="Könnte {{time}} laufen">{rows}</table>'
    )
    return f'<section lang="de">{table}</section><form id="spawn_form">{radios}</form>'


@pytest.mark.parametrize(
    ("denied", "selected", "then"),
    [
        ((), "large", "large"),
        (("gpu",), "large", "large"),
        (("large",), "large", "small"),
        (("small", "large"), "small", "gpu"),
        (("small", "large", "gpu"), "large", "large"),
        (("large",), "", ""),
    ],
)
def test_what_may_not_start_is_not_selected_if_something_else_may(
    browser: Browser, denied, selected, then
):
    context = patient_context(browser, timezone_id="Europe/Zurich", locale="fr-FR")
    page = context.new_page()
    page.set_content(form(denied, selected))
    page.evaluate(SCRIPT)
    expect(page.locator(".usage-quota-mark")).to_have_count(3)
    checked = page.eval_on_selector_all(":checked", "found => found.map(one => one.id)")
    assert checked == ([then] if then else [])
    # Whatever the browser's language is, dates are in that of the page, in the browser's zone.
    mark = page.locator(".usage-quota-mark[data-profile=gpu]")
    when = "Nicht vor Mi., 4. März 19:05"
    expect(mark).to_have_text(when if "gpu" in denied else f"Könnte {when} laufen")
    # A person can still choose it.
    page.locator("#large").check()
    expect(page.locator("#large")).to_be_checked()
    context.close()
