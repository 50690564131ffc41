"""How pages look: what axe finds in them, and what is wider than a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.paths import ROOT

AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
DESK = {"width": 1100, "height": 900}
PHONE = {"width": 360, "height": 740}


def faults(page: Page, how: str = "") -> list[str]:
    """The serious and critical faults that axe finds on a page, the Hub's own parts included.

    In the dark (`how`, as `everywhere` has it) only colours are other than in the light.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if how.endswith(" dark"):
        options["runOnly"] = ["color-contrast"]
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def everywhere(page: Page) -> Iterator[str]:
    """The page in light and dark, at a desk and on a phone, with nothing folded up."""
    unfold = "() => document.querySelectorAll('details').forEach(d => d.open = true)"
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
            page.evaluate(unfold)
            yield f"{size['width']} {scheme}"


def no_horizontal_scroll(page: Page) -> bool:
    return page.evaluate(
        "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def too_wide(page: Page) -> list[str]:
    """What reaches over the right edge of a page that can be scrolled to there."""
    if no_horizontal_scroll(page):
        return []
    return page.evaluate(
        "() => [...document.querySelectorAll('main *')].filter(one =>"
        " one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5"
        " && !one.closest('.table-responsive')).map(one => one.outerHTML.slice(0, 120))"
    )
