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
from ...quotas.resources import RESOURCES, Resource
from ...status.text import explain

_LOCAL_TIME = Markup(
    '<time class="usage-quota-time" datetime="{iso}">{text}</time>'
    # Without scripts, or where a policy forbids this one, the text in UTC stays.
    "<script>document.querySelectorAll('time.usage-quota-time:not([title])').forEach(t=>{"
    "t.title=t.textContent;t.textContent=new Date(t.dateTime).toLocaleString([],"
    "{weekday:'long',day:'numeric',month:'long',year:'numeric',hour:'2-digit',minute:'2-digit',"
    "timeZoneName:'short'})})</script>"
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
) -> Message:
    """Why a decision denies a launch, and when it would be allowed.

    `smaller` is the display name of a profile that could be started instead of one that never can.
    """
    sentences: list[str | Markup] = [
        explain(verdict, resources, smaller) for verdict in decision.denying
    ]
    html = list(sentences)
    if decision.retry_time:
        _add_time(sentences, html, "You can start this server again from ", decision.retry_time)
    elif decision.once_freed:
        _add_time(sentences, html, "Once you have, you can start it from ", decision.once_freed)
    return _message("Usage quota reached", sentences, html, contact)


def _add_time(
    text: list[str | Markup], html: list[str | Markup], before: str, at: datetime
) -> None:
    text.append(f"{before}{_utc(at)}.")
    html.append(escape(before) + _local(at) + ".")


def unavailable_message(contact: str) -> Message:
    """The message where usage is not known, and the Hub starts no server then."""
    sentences = [
        "Your server was not started, because the Hub cannot check usage quotas at the moment.",
        "This is not because of anything you did. Please try again in a few minutes.",
    ]
    return _message("Usage quotas cannot be checked", sentences, list(sentences), contact)


def _message(
    heading: str, text: list[str | Markup], html: list[str | Markup], contact: str
) -> Message:
    if contact:
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


def _utc(instant: datetime) -> str:
    instant = instant.astimezone(UTC)
    return f"{instant:%A}, {instant.day} {instant:%B %Y, %H:%M} UTC"


def _local(instant: datetime) -> Markup:
    iso = instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # The script is full of braces, so this is not a job for str.format.
    filled = _LOCAL_TIME.replace("{iso}", iso).replace("{text}", escape(_utc(instant)))
    return Markup(filled)  # noqa: S704 made of an escaped text and a date only
