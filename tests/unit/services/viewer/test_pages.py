"""Pages in the Hub's own look, and an admin's, in which nothing runs that nobody wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.services.viewer.app import ASSETS, STATIC, TEMPLATES
from jupyterhub_usage_quotas.services.web.assets import Assets
from jupyterhub_usage_quotas.services.web.rendering import PageUser, Renderer

ERROR = {"status_code": 404, "reason": "Not Found", "message": "It is not there."}


def pages(*paths: Path, host: str = "", assets: Assets | None = None, **variables) -> Renderer:
    return Renderer(
        TEMPLATES,
        assets or Assets.found(STATIC, ASSETS),
        template_paths=[str(path) for path in paths],
        variables=variables,
        hub_prefix="/base/hub/",
        hub_host=host,
        base_url="/base/services/usage-quota/",
    )


def render(made: Renderer, name: str = "alice", **more) -> BeautifulSoup:
    html = made.render("usage-quota-error.html", PageUser(name), "N0NCE", **ERROR, **more)
    return BeautifulSoup(html, "html.parser")


def test_it_looks_like_the_hub():
    page = render(pages())
    assert page.find("link", rel="stylesheet")["href"] == "/base/hub/static/css/style.min.css"
    assert page.find("a", string="Home")["href"] == "/base/hub/home"
    assert page.find(id="dark-theme-toggle")
    assert "alice" in page.find(id="login_widget").get_text()


def test_on_another_host_than_the_hub():
    made = pages(host="https://hub.example.org")
    assert (
        render(made)
        .find("link", rel="stylesheet")["href"]
        .startswith("https://hub.example.org/base/hub/static/")
    )
    policy = made.content_security_policy("N0NCE")
    assert "script-src 'self' https://hub.example.org 'nonce-N0NCE';" in policy


def test_an_admins_own_page_and_variables(tmp_path):
    (tmp_path / "page.html").write_text(
        '{% extends "templates/page.html" %}'
        "{% block footer %}<footer>{{ motto }}</footer><script>theirs()</script>{% endblock %}"
    )
    page = render(pages(tmp_path, motto="<Be kind>", announcement="<b>Closed</b>"))
    assert page.find("footer").get_text() == "<Be kind>"
    # As in the Hub, an announcement is markup that an admin wrote.
    assert page.find(class_="announcement").b.get_text() == "Closed"
    theirs = page.find("script", string="theirs()")
    assert theirs["nonce"] == "N0NCE"
    assert page.find("link", rel="stylesheet")


def test_an_admins_template_of_one_page(tmp_path):
    (tmp_path / "usage-quota-error.html").write_text("Ours: {{ message }}")
    assert render(pages(tmp_path)).get_text() == "Ours: It is not there."


def test_an_admins_template_that_extends_ours(tmp_path):
    (tmp_path / "usage-quota-error.html").write_text(
        '{% extends "templates/usage-quota-error.html" %}'
        "{% block usage_quota_live %}{{ super() }}<p id=ours>Ask us.</p>{% endblock %}"
    )
    page = render(pages(tmp_path))
    assert page.find("h1").get_text() == "404 Not Found"
    assert page.find(id="ours").get_text() == "Ask us."


def test_the_part_that_changes_is_the_same_each_time():
    first, again = (
        pages().render(
            "usage-quota-error.html",
            PageUser("alice"),
            nonce,
            usage_quota_layout="usage-quota-part.html",
            **ERROR,
        )
        for nonce in ("N0NCE", "0THER")
    )
    assert first == again
    assert "404 Not Found" in first
    assert "<script" not in first
    assert "<html" not in first


def test_addresses_of_scripts_change_with_their_content(tmp_path):
    (tmp_path / "usage-quota.js").write_text("one()")
    before = Assets.found(tmp_path, ASSETS)
    (tmp_path / "usage-quota.js").write_text("two()")
    after = Assets.found(tmp_path, ASSETS)
    assert before.addresses("/s/")["js"] != after.addresses("/s/")["js"]
    assert before.addresses("/s/")["js"].startswith("/s/usage-quota.js?v=")
    assert after.missing == ["usage-quota.css"]


def test_without_built_scripts_pages_are_plain():
    page = render(pages(assets=Assets({})))
    assert not page.find("script", type="module")
    assert page.find("h1")


NAMES = [
    "</script><script>alert(1)</script>",
    '";alert(1)//',
    "\\",
    "{{ 7*7 }}",
    "<script nonce=N0NCE>alert(1)</script>",
    "line\n\u2028break",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_never_becomes_a_script(name):
    usual = render(pages(), "alice").find_all("script")
    page = render(pages(), name)
    scripts = page.find_all("script")
    assert len(scripts) == len(usual)
    assert all(script["nonce"] == "N0NCE" for script in scripts)
    inline = next(script.string for script in scripts if script.string)
    quoted = re.search(r'user: ("(?:[^"\\\n]|\\.)*"),', inline)[1]
    assert json.loads(quoted) == name
    assert "\u2028" not in inline
    assert name in page.find(id="login_widget").get_text()


def test_the_policy_of_a_page():
    policy = pages().content_security_policy("N0NCE")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self' 'nonce-N0NCE'"
    assert rules["base-uri"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
