"""The shapes of the JSON API's answers, as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....quotas.decide import Outcome

Json = dict[str, Any]

INSTANT: Json = {"type": "string", "format": "date-time"}
COUNT: Json = {"type": "integer", "minimum": 0}
WORD: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
NUMBER: Json = {"type": "number"}
SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}

STATUSES = {
    400: "a parameter cannot be used; the problem names it",
    401: "no token, or one that the Hub does not know",
    403: "the token lacks a scope",
    404: "not there, or not for the token's owner to see: nobody learns which",
    405: "not to be done here",
    503: "the Hub does not answer",
}


def ref(name: str) -> Json:
    """A shape by name."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Mapping[str, Any]) -> Json:
    """The same, or null."""
    return {"anyOf": [dict(schema), {"type": "null"}]}


def array(items: Mapping[str, Any]) -> Json:
    """A list."""
    return {"type": "array", "items": dict(items)}


def closed(**properties: Mapping[str, Any]) -> Json:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": {name: dict(schema) for name, schema in properties.items()},
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _or_null(*names: str, schema: Mapping[str, Any]) -> dict[str, Json]:
    return {name: nullable(schema) for name in names}


REPORT: dict[str, Json] = {
    "user": WORD,
    "groups": array(WORD),
    "allow_server_launch": FLAG,
    "outcome": {"enum": [one.value for one in Outcome]},
    "retry_time": nullable(INSTANT),
    "failover": nullable(WORD),
}
"""The keys of `check --json`, but for what only admins may read."""

REPORTED_VERDICT: dict[str, Json] = {
    **dict.fromkeys(("policy", "resource", "window", "when_exhausted", "unit"), WORD),
    **dict.fromkeys(("applies", "shared", "never"), FLAG),
    **_or_null("used", "remaining", "allowance", schema=NUMBER),
    **_or_null("limit", "to_free", schema=NUMBER),
    "need": NUMBER,
    "fits": nullable(FLAG),
    "retry_time": nullable(INSTANT),
    "covered_until": nullable(INSTANT),
    "coverage": nullable(SHARE),
}

STATE: dict[str, Json] = {
    "state": {"enum": ["fresh", "stale", "unknown"]},
    "reason": nullable(WORD),
}


def standing() -> Json:
    """Where a user stands."""
    return closed(
        **REPORT,
        as_of=INSTANT,
        enforcement={"enum": ["enforce", "shadow", "off"]},
        running_servers=array(ref("Server")),
        verdicts=array(ref("Verdict")),
        home_storage={
            **nullable(ref("HomeStorage")),
            "description": "null where nothing exports home storage",
        },
    )


def forecast() -> Json:
    """How long a server could run."""
    return closed(
        **REPORT,
        known={"type": "boolean", "description": "false where usage is not known"},
        lasts_seconds={
            **nullable({"type": "number", "minimum": 0}),
            "description": "0 where it is denied; null where nothing ends it within the horizon",
        },
        horizon_seconds=NUMBER,
        verdicts=array(closed(**REPORTED_VERDICT)),
    )


SHAPES: dict[str, Json] = {
    "Anything": {"type": "object"},
    "Problem": {
        "type": "object",
        "properties": {
            "type": WORD,
            "title": WORD,
            "status": {"type": "integer"},
            "detail": WORD,
            "parameter": {**WORD, "description": "the parameter that cannot be used"},
        },
        "required": ["title", "status", "type"],
    },
    "HomeStorage": closed(
        **STATE,
        there=nullable(FLAG),
        **_or_null("used_bytes", "limit_bytes", schema=NUMBER),
        measured_at=nullable(INSTANT),
    ),
    "Server": closed(name=WORD, profile=WORD, profile_name=WORD, gpu=FLAG),
    "Amount": closed(amount=NUMBER, unit=WORD),
    "Adjustment": closed(
        kind={"enum": ["grant", "override", "exemption"]},
        amount=nullable(NUMBER),
        until=INSTANT,
    ),
    "Verdict": closed(
        **REPORTED_VERDICT,
        **STATE,
        display_name=WORD,
        window_phrase=WORD,
        exhausted_at={
            **nullable(INSTANT),
            "description": "when nothing remains, if the servers that run now go on",
        },
        gets_back=nullable(closed(at=INSTANT, amount=NUMBER)),
        grants=array(ref("Adjustment")),
    ),
    "RowVerdict": closed(
        **{key: REPORTED_VERDICT[key] for key in ("policy", "resource", "window", "used", "fits")},
        **{key: REPORTED_VERDICT[key] for key in ("allowance", "remaining", "unit")},
        state=STATE["state"],
        share=nullable({"type": "number", "minimum": 0}),
        exhausted_at=nullable(INSTANT),
    ),
    "Policy": {
        **closed(
            **dict.fromkeys(("name", "resource", "display_name", "window", "window_phrase"), WORD),
            limit=closed(value=nullable(NUMBER), unit=WORD),
            servers={"type": "object"},
            share=WORD,
            overflow=nullable(WORD),
            minimum_session_seconds=NUMBER,
            when_exhausted=WORD,
        ),
        # For those who may see everybody, also whom it covers.
        "additionalProperties": {"type": ["object", "null"]},
    },
    "UsageOverTime": closed(
        **dict.fromkeys(("user", "resource", "unit"), WORD),
        **{"from": INSTANT, "to": INSTANT},
        step_seconds=COUNT,
        **STATE,
        covered_until=nullable(INSTANT),
        coverage=nullable(SHARE),
        buckets=nullable(array(ref("Bucket"))),
    ),
    "Bucket": closed(**{"from": INSTANT, "to": INSTANT}, amount=NUMBER, server=ref("Server")),
    "Sessions": closed(
        user=WORD,
        covered_until=nullable(INSTANT),
        coverage=nullable(SHARE),
        unknown={"type": "object", "additionalProperties": WORD},
        sessions=nullable(array(ref("Session"))),
    ),
    "Session": closed(
        server=ref("Server"),
        **{"from": INSTANT, "to": INSTANT},
        ongoing=FLAG,
        used={"type": "object", "additionalProperties": ref("Amount")},
    ),
}
