"""A Hub whose users read German: a denial, the page where servers start, and the dashboard."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from tests.support.hub import PYTHONS, running_hub
from tests.support.visitor import Visitor

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.language = "de"
c.UsageConfig.prometheus_url = "http://127.0.0.1:9"  # nobody is there
c.UsageConfig.deadline = c.UsageConfig.request_timeout = 1
c.UsageQuotaManager.policy = [
    {"resource": "time", "limit": "0 hours", "window": 7, "scope": {"everyone": True}}
]
"""
DENIED = "Ihr Kontingent für Serverzeit ist null, also kann dieser Server nicht gestartet werden."


def words(html: str, selector: str) -> str:
    found = BeautifulSoup(html, "html.parser").select_one(selector)
    assert found, f"{selector} is on the page"
    return " ".join(found.get_text(" ").split())


@pytest.mark.parametrize("version", PYTHONS)
def test_what_users_read_is_german(version, tmp_path):
    with running_hub(tmp_path, version, CONFIG) as hub:
        ada = Visitor(hub.url, "ada")
        home = ada.http.get("/hub/home").text
        assert words(home, "#usage-quota-chip") == (
            "Nutzungskontingent: Kontingent für Serverzeit ist null"
        )
        banner = words(home, ".usage-quota-banner")
        assert banner.startswith("Nutzungskontingente Die Nutzung ist zurzeit nicht bekannt.")
        assert "Server Könnte jetzt laufen Ihr Server" in banner
        refused = ada.api("POST", "/users/ada/server")
        assert refused.status_code == 429
        assert DENIED in refused.json()["message"]
        denied = ada.http.get("/hub/spawn/ada", follow_redirects=True)
        assert words(denied.text, "h1") == "Nutzungskontingent erreicht"
        assert DENIED in denied.text
        link = BeautifulSoup(denied.text, "html.parser").select_one("a.usage-quota-dashboard")
        assert (link.get_text(), link["lang"]) == ("Ihre Nutzung ansehen", "de")
        dashboard = ada.http.get(link["href"], follow_redirects=True)
        assert words(dashboard.text, "main h1") == "Ihre Nutzung"
        assert words(dashboard.text, "nav .dropdown-item") == "usage-quota"
