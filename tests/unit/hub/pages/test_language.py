"""What the Hub's pages and denials say in another language: no text is left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.pages import PageOptions
from jupyterhub_usage_quotas.hub.launch.message import denial_message, unavailable_message
from jupyterhub_usage_quotas.hub.launch.request import Launch, Offer
from jupyterhub_usage_quotas.hub.pages.credits import CreditsLine
from jupyterhub_usage_quotas.hub.pages.templates_overlay import TEMPLATES
from jupyterhub_usage_quotas.hub.pages.text import alternatives, banner
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Reading, Stale, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.catalogues import load_language
from jupyterhub_usage_quotas.status.chip import chip, instant
from jupyterhub_usage_quotas.status.inputs import DecisionInputs
from jupyterhub_usage_quotas.status.language import Language
from jupyterhub_usage_quotas.status.users import UserStatus
from tests.support.pseudo import NAME, faults, untranslated, write_pseudo_catalogue

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
ADA = Subject("ada")
DATA = ("p1", "p2", "p3", "Small", "Large", "CPU-", "GPU-", "GiB-", "UTC", " h")
CONTACT = PageOptions().contact


@pytest.fixture(scope="module")
def language(tmp_path_factory) -> Language:
    folder = tmp_path_factory.mktemp("catalogues")
    write_pseudo_catalogue(folder)
    return load_language(NAME, str(folder))


def rule(name: str, resource: str, limit: str, **more: Any) -> dict[str, Any]:
    scope = {"everyone": True}
    return {"name": name, "resource": resource, "limit": limit, "window": 7, "scope": scope} | more


def used(amount: float) -> Fresh:
    start = NOW.timestamp() - 30 * 3600
    return Fresh(Usage((Bucket(start, start + 3600, amount),), NOW))


CPU = rule("p1", "cpu", "9 CPU-hours", minimum_session="1h")
OLD = Usage((), NOW - timedelta(hours=1))
CASES: dict[str, tuple[dict[str, Any], Reading]] = {
    "used up": (CPU, used(9 * 3600)),
    "too little": (CPU, used(8.5 * 3600)),
    "left": (CPU, used(3600)),
    "low": (CPU, used(8 * 3600)),
    "never": (rule("p1", "cpu", "1 CPU-hour", minimum_session="2h"), used(0)),
    "zero": (rule("p1", "cpu", "0 CPU-hours"), used(0)),
    "shared": (CPU | {"share": "pooled"}, used(9 * 3600)),
    "unknown": (CPU, Unknown("timeout", "")),
    "not read yet": (CPU, Unknown("not_read_yet", "")),
    "stale": (CPU, Stale(OLD, "stale", "")),
    "warns": (CPU | {"when_exhausted": "warn"}, used(9 * 3600)),
    "one server": (CPU | {"servers": {"gpu": False, "profile": ["Small"]}}, used(9 * 3600)),
    "a balance": (CPU | {"window": {"refill": 1, "every": "1d"}}, used(9 * 3600)),
}


def inputs_of(written: dict[str, Any], reading: Reading) -> DecisionInputs:
    others = [rule("p2", "gpu", "8 GPU-hours"), rule("p3", "time", "3 hours")]
    policies = parse_policies([written, *others], failover_open=False)
    readings = {"cpu": reading, "gpu": used(7 * 3600), "time": used(3600)}
    pools = {"p1": {"ada": readings}} if written.get("share") else {}
    return DecisionInputs(ADA, policies, readings, pools, (), NOW)


def offers() -> list[Offer]:
    return [
        Offer(Request(ADA, profile=name, profile_name=name, rates={"cpu": cores, "time": 1.0}))
        for name, cores in (("Small", 0.01), ("Large", 1.0))
    ]


@pytest.mark.parametrize("enforced", [True, False])
@pytest.mark.parametrize(("written", "reading"), CASES.values(), ids=CASES)
def test_every_text_of_the_pages_is_in_the_catalogue(language, written, reading, enforced):
    inputs = inputs_of(written, reading)
    status = UserStatus(inputs, inputs.decide(Request(ADA)), enforced=enforced)
    made = banner(status, offers() if enforced else [], language)
    others = alternatives(inputs, Launch(offers()[1].request, offers()), language)
    shown = SimpleNamespace(
        viewer="usage-quota",
        language=language.tag,
        gettext=language.in_templates["_"],
        settled=lambda value: value,
        header=lambda: chip(status, made.starts, language),
        credits=lambda: CreditsLine(
            "90 / 100", "3 / 9", "p1", instant(NOW + timedelta(hours=1), NOW, language), False
        ),
    )
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    service = SimpleNamespace(name="usage-quota", href="/services/usage-quota/")
    values = {
        "usage_quota": shown,
        "services": [service],
        "static_url": lambda path: path,
        "banner": made,
        "alternatives": others,
    }
    for name, part in (
        ("header", ".usage-quota-header"),
        ("banner", ".usage-quota-banner"),
        ("dashboard", ".usage-quota-dashboard"),
        *([("alternatives", ".usage-quota-alternatives")] if others else []),
    ):
        html = environment.get_template(f"usage-quota-{name}.html").render(values)
        assert faults(html, [part], DATA) == [], name


@pytest.mark.parametrize(("written", "reading"), CASES.values(), ids=CASES)
def test_every_text_of_a_denial_is_in_the_catalogue(language, written, reading):
    inputs = inputs_of(written, reading)
    decision = inputs.decide(offers()[1].request)
    resources = inputs.policies.resources
    for made in (
        denial_message(decision, CONTACT, resources, "Small", language),
        unavailable_message(CONTACT, language),
    ):
        assert untranslated(f"{made.heading} {made.text}", DATA) == []
        assert faults(f"<main>{made.html}</main>", ["main"], DATA) == []


def test_a_denial_in_german():
    language = load_language("de")
    inputs = inputs_of(CPU, used(9.5 * 3600))
    decision = inputs.decide(offers()[1].request)
    made = denial_message(decision, CONTACT, inputs.policies.resources, "", language)
    assert made.heading == "Nutzungskontingent erreicht"
    assert made.text == (
        "Sie haben Ihr Kontingent für CPU aufgebraucht: 9,5 von 9 CPU-Stunden in den letzten"
        " 7 Tagen. Sie können diesen Server wieder starten ab: Dienstag, 10. März 2026, 06:10 UTC."
        " Wenn Sie mehr brauchen, wenden Sie sich an die Administratoren dieses JupyterHub."
    )
    time = BeautifulSoup(made.html, "html.parser").find("time")
    assert (time["lang"], time["data-form"]) == (
        "de",
        "{weekday}, {day}. {month} {year}, {time} {zone}",
    )


def test_the_words_of_an_admin_stay_as_they_are():
    contact = "Fragen? https://hilfe.example.org"
    assert unavailable_message(contact, load_language("de")).text.endswith(contact)


def test_the_language_of_the_deployment_is_english_unless_it_is_set():
    assert UsageQuotaManager().texts.tag == "en-GB"
