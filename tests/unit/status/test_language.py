"""Texts for users in the language of the deployment: what a language does, its catalogues, and that
no text is left out.
"""

from __future__ import annotations

import re
import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from traitlets.config import Config

from jupyterhub_usage_quotas import ConfigurationError, UsageQuotaManager
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.units import Unit
from jupyterhub_usage_quotas.status.catalogues import FOLDER, TEMPLATE, load_language
from jupyterhub_usage_quotas.status.language import ENGLISH, FORMS
from tests.support.paths import ROOT

HOURS, GIB_HOURS, CREDITS = Unit("hours", 3600), Unit("GiB-hours", 3600), Unit("credits", 1)
AT = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
GERMAN = load_language("de")


@pytest.mark.parametrize(
    ("language", "amount", "unit", "said"),
    [
        (ENGLISH, 1 * 3600, GIB_HOURS, "1 GiB-hour"),
        (ENGLISH, 1.5 * 3600, GIB_HOURS, "1.5 GiB-hours"),
        (ENGLISH, 0, GIB_HOURS, "0 GiB-hours"),
        (ENGLISH, 1, CREDITS, "1 credit"),
        (ENGLISH, 20 * 3600 + 90, HOURS, "20h 2m"),
        (GERMAN, 1 * 3600, GIB_HOURS, "1 GiB-Stunde"),
        (GERMAN, 1234.5 * 3600, GIB_HOURS, "1.234 GiB-Stunden"),
        (GERMAN, 1.5 * 3600, GIB_HOURS, "1,5 GiB-Stunden"),
        (GERMAN, 20, CREDITS, "20 Punkte"),
        (GERMAN, 20 * 3600 + 90, HOURS, "20 Std. 2 Min."),
        (GERMAN, 3, Unit("GiB", 1), "3 GiB"),
    ],
)
def test_amounts(language, amount, unit, said):
    assert language.amount(amount, unit) == said


def test_dates():
    assert ENGLISH.instant(AT, FORMS["long"]) == "Wednesday, 4 March 2026, 18:05 UTC"
    assert GERMAN.instant(AT, FORMS["long"]) == "Mittwoch, 4. März 2026, 18:05 UTC"
    assert GERMAN.instant(AT, FORMS["near"]) == "Mi. 18:05"
    assert load_language("en_US").instant(AT, FORMS["short"]) == "4 Mar 2026, 18:05"


@pytest.mark.parametrize(
    ("window", "english", "german"),
    [
        (7, "in the last 7 days", "in den letzten 7 Tagen"),
        (1, "in the last day", "am letzten Tag"),
        ("90m", "in the last 90 minutes", "in den letzten 90 Minuten"),
        ({"calendar": "month"}, "this month", "in diesem Monat"),
        ({"calendar": "day"}, "today", "heute"),
        (
            {"refill": 1, "every": "6h"},
            "of a balance that is refilled every 6 hours",
            "von einem Guthaben, das alle 6 Stunden aufgefüllt wird",
        ),
    ],
)
def test_windows(window, english, german):
    rule = {"resource": "cpu", "limit": "8 CPU-hours", "window": window, "scope": {"user": ["a"]}}
    (policy,) = parse_policies([rule])
    assert policy.window.phrase == english
    assert ENGLISH.say(policy.window.said) == english
    assert GERMAN.say(policy.window.said) == german


def test_markup_of_values_stays_and_the_rest_is_escaped():
    translate = GERMAN.in_templates["_"]
    from markupsafe import Markup  # noqa: PLC0415

    assert translate("Usage of {name}", name="<b>") == "Nutzung von &lt;b&gt;"
    assert translate("Usage of {name}", name=Markup("<bdi>ada</bdi>")) == (
        "Nutzung von <bdi>ada</bdi>"
    )


# --- catalogues -----------------------------------------------------------------------------------


def texts(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        catalogue = read_po(file)
    return {
        one.id if isinstance(one.id, str) else one.id[0]: one.string for one in catalogue if one.id
    }


def test_the_template_has_every_text_that_is_marked():
    script = runpy.run_path(str(ROOT / "scripts/update-texts"))
    collected = {
        one.id if isinstance(one.id, str) else one.id[0] for one in script["collected"]() if one.id
    }
    assert collected == set(texts(TEMPLATE)), "run scripts/update-texts"
    assert len(collected) > 200


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.po")), ids=lambda path: path.stem)
def test_a_catalogue_of_the_package_is_complete(path):
    found = texts(path)
    assert set(found) == set(texts(TEMPLATE)), "run scripts/update-texts"
    empty = [
        text
        for text, translated in found.items()
        if not all([translated] if isinstance(translated, str) else translated)
    ]
    assert empty == []
    assert load_language(path.stem).tag == path.stem


def test_every_resource_has_its_names_in_the_template():
    known = set(texts(TEMPLATE))
    for one in RESOURCES.values():
        assert {one.display_name, one.in_a_sentence} <= known
        assert not one.freeing or one.freeing in known


HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
FRENCH = HEADER + 'msgid "Used up"\nmsgstr "Épuisé"\n'


def test_an_admin_adds_a_language(tmp_path):
    (tmp_path / "fr.po").write_text(FRENCH)
    language = load_language("fr_CH", str(tmp_path))
    assert language.gettext("Used up") == "Épuisé"
    assert language.gettext("Servers may start.") == "Servers may start."
    assert "mercredi" in language.instant(AT, FORMS["long"])
    assert language.tag == load_language("fr-CH", str(tmp_path)).tag == "fr-CH"


def test_an_admin_changes_words_and_the_rest_stays(tmp_path):
    (tmp_path / "de.po").write_text(HEADER + 'msgid "Used up"\nmsgstr "Leer"\n')
    (tmp_path / "en.po").write_text(HEADER + 'msgid "Used up"\nmsgstr "All gone"\n')
    language = load_language("de", str(tmp_path))
    assert (language.gettext("Used up"), language.gettext("Total")) == ("Leer", "Gesamt")
    assert load_language("en", str(tmp_path)).gettext("Used up") == "All gone"
    assert GERMAN.gettext("Used up") == "Aufgebraucht"


WRONG = {
    "no catalogue": "<html></html>\n",
    "another one's": HEADER + 'msgid "File"\nmsgstr "Datei"\n',
    "a placeholder of another name": HEADER + 'msgid "Usage of {name}"\nmsgstr "de {nom}"\n',
    "a placeholder less": HEADER + 'msgid "Usage of {name}"\nmsgstr "Utilisation"\n',
    "a brace": HEADER + 'msgid "Usage of {name}"\nmsgstr "de {name"\n',
    "what reaches into values": HEADER
    + 'msgid "Usage of {name}"\nmsgstr "{name.__class__} {name}"\n',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_catalogue_that_cannot_be_used_is_refused_by_name(tmp_path, text):
    (tmp_path / "fr.po").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load_language("fr", str(tmp_path))
    assert str(tmp_path / "fr.po") in str(refused.value)


@pytest.mark.parametrize("name", ["fr", "klingon", "../de", "", "de\n", "C", "de_" + "x" * 1000])
def test_a_language_without_a_catalogue_is_refused_with_those_there_are(name):
    config = Config()
    config.UsageConfig.language = name
    with pytest.raises(ConfigurationError, match=r"UsageConfig: language.*de, en"):
        UsageQuotaManager(config=config)


@pytest.mark.parametrize("folder", ["/nowhere", "\0", "x" * 100_000, "\ud800", "/dev/null"])
def test_a_folder_that_is_none_is_refused(folder):
    with pytest.raises(ConfigurationError, match="language_folder: not a folder: got"):
        load_language("de", folder)


def test_a_broken_catalogue_stops_the_hub(tmp_path):
    (tmp_path / "fr.po").write_bytes(b'msgid "Used up"\nmsgstr "\xff\xfe"\n')
    config = Config()
    config.UsageConfig.update({"language": "fr", "language_folder": str(tmp_path)})
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path))):
        UsageQuotaManager(config=config)
