"""The message to a user whose launch is denied: what happened, what it means, what to do next.

Each message exists twice. The plain text stands alone (the options form and the REST API show
nothing else) and gives times in UTC. The HTML says the same and lets the browser show the time
in its own zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

from ...quotas.decide import Decision
from ...quotas.phrases import mark
from ...quotas.resource import Resource
from ...quotas.resources import RESOURCES
from ...status.language import ENGLISH, LONG, Language
from ...status.text import explain

_LOCAL_TIME = Markup(
    '<time class="usage-quota-time" lang="{lang}" data-form="{form}" datetime="{iso}">{text}</time>'
    # Without scripts, or where a policy forbids this one, the text in UTC stays.
    "<script>document.querySelectorAll('time.usage-quota-time:not([title])').forEach(t=>{"
    "const at=new Date(t.dateTime),parts=Object.fromEntries(new Intl.DateTimeFormat(t.lang,"
    "{weekday:'long',day:'numeric',month:'long',year:'numeric',hour:'2-digit',minute:'2-digit',"
    "hourCycle:'h23',timeZoneName:'short'}).formatToParts(at).map(p=>[p.type,p.value]));"
    "parts.time=parts.hour+':'+parts.minute;parts.zone=parts.timeZoneName;"
    "t.title=t.textContent;"
    "t.textContent=t.dataset.form.replace(/\\{(\\w+)\\}/g,(_,name)=>parts[name]??'')})</script>"
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message in both forms, and a heading (plain text) for the page that shows it."""

    heading: str
    text: str
    html: str


def denial_message(
    decision: Decision,
    contact: str,
    resources: Mapping[str, Resource] = RESOURCES,
    smaller: str = "",
    language: Language = ENGLISH,
) -> Message:
    """Why a decision denies a launch, and when it would be allowed.

    `smaller` is the display name of a profile that could be started instead of one that never can.
    """
    sentences: list[str | Markup] = [
        explain(verdict, resources, smaller, language) for verdict in decision.denying
    ]
    html = list(sentences)
    if decision.retry_time:
        said = mark("You can start this server again from {time}.")
        _add_time(sentences, html, said, decision.retry_time, language)
    elif decision.once_freed:
        said = mark("Once you have, you can start it from {time}.")
        _add_time(sentences, html, said, decision.once_freed, language)
    heading = language.gettext("Usage quota reached")
    return _message(heading, sentences, html, contact, language)


def _add_time(
    text: list[str | Markup],
    html: list[str | Markup],
    said: str,
    at: datetime,
    language: Language,
) -> None:
    text.append(language.gettext(said, time=_utc(at, language)))
    html.append(language.in_templates["_"](said, time=_local(at, language)))


def unavailable_message(contact: str, language: Language = ENGLISH) -> Message:
    """The message where usage is not known, and the Hub starts no server then."""
    gettext = language.gettext
    sentences = [
        gettext(
            "Your server was not started, because the Hub cannot check usage quotas at the moment."
        ),
        gettext("This is not because of anything you did. Please try again in a few minutes."),
    ]
    heading = gettext("Usage quotas cannot be checked")
    return _message(heading, sentences, list(sentences), contact, language)


def not_worked_out_message(contact: str, language: Language = ENGLISH) -> Message:
    """The message where a function of the admin's failed, on which a decision depends."""
    gettext = language.gettext
    sentences = [
        gettext(
            "Your server was not started, because the Hub cannot work out what it costs, or how"
            " much you may use."
        ),
        gettext(
            "This is not because of anything you did, unless you asked for something unusual. The"
            " administrators find the reason in the Hub's log."
        ),
    ]
    heading = gettext("Your quotas cannot be worked out")
    return _message(heading, sentences, list(sentences), contact, language)


def nobody_pays_message(contact: str, language: Language = ENGLISH) -> Message:
    """The message to a user none of whose credits pay for such a server."""
    gettext = language.gettext
    sentences: list[str | Markup] = [
        gettext("You have no credits that can be used for a server like this one."),
        gettext("Choose other options for your server."),
    ]
    return _message(gettext("No credits for this server"), sentences, sentences, contact, language)


def _message(
    heading: str,
    text: list[str | Markup],
    html: list[str | Markup],
    contact: str,
    language: Language,
) -> Message:
    if contact:
        # An admin's own is in no catalogue, and stays as it is.
        contact = language.gettext(contact)
        text, html = [*text, contact], [*html, _linked(contact)]
    joined = Markup("<br>").join(html)
    return Message(heading, " ".join(text), str(joined))


def _linked(text: str) -> Markup:
    """Escape a text and make links of the https addresses in it."""
    parts = re.split(r"(https://[^\s<>\"']*[^\s<>\"'.,;:!?)])", text)
    return Markup("").join(
        Markup('<a href="{0}">{0}</a>').format(part) if index % 2 else part
        for index, part in enumerate(parts)
    )


def _utc(instant: datetime, language: Language) -> str:
    return language.instant(instant.astimezone(UTC), LONG)


def _local(instant: datetime, language: Language) -> Markup:
    iso = instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    filled = {
        "{lang}": language.tag,
        "{form}": language.gettext(LONG),
        "{iso}": iso,
        "{text}": _utc(instant, language),
    }
    html = str(_LOCAL_TIME)
    # The script is full of braces, so this is not a job for str.format.
    for name, value in filled.items():
        html = html.replace(name, str(escape(value)), 1)
    return Markup(html)  # noqa: S704 made of escaped texts only
