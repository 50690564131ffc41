"""The description of the JSON API, as OpenAPI 3.1: what is served, and what tests hold it to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ....quotas.decide import Outcome
from ...web.params import LARGEST_AMOUNT, MEMORY
from ..pages.table import OFFSET_AT_MOST, ROWS_AT_MOST, SORTS, STATES
from . import schemas as shapes
from .schemas import array, nullable, ref

Json = dict[str, Any]

TEXT = {"type": "string", "maxLength": 300}
TITLE = "Usage quotas of a JupyterHub"

DESCRIPTION = """
Where users of a JupyterHub stand with their usage quotas, as the Hub itself decides.

Amounts are in the unit beside them; times are ISO 8601 in UTC. Where usage is not known, amounts
are null, never zero. Keys are only ever added.

Authenticate with a token of the Hub, `Authorization: token ...`: a user's, a server's
(`JUPYTERHUB_API_TOKEN`) or a service's. It needs the scope `access:services!service=usage-quota`,
and `custom:usage-quotas:read`, which may be limited with `!user=` and `!group=`. A session of a
browser sees its user's own usage, and an admin's everybody's. Scripts of pages that use the session
send the header `X-XSRFToken`.
"""


def document(base_url: str, resources: Sequence[str]) -> Json:
    """The whole document of a service at this address, which knows the usage of these resources."""
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "description": DESCRIPTION.strip(), "version": "1"},
        "servers": [{"url": f"{base_url}api/v1"}],
        "security": [{"token": []}],
        "paths": paths(resources),
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`token ...`, with a token of the JupyterHub",
                }
            },
        },
    }


@cache
def parameters_of(operation: str) -> tuple[str, ...]:
    """The names of the parameters that may follow the question mark of an operation."""
    described = (one["get"] for one in paths(()).values())
    parameters = next(one["parameters"] for one in described if one["operationId"] == operation)
    return tuple(one["name"] for one in parameters if one["in"] == "query")


def paths(resources: Sequence[str]) -> Json:
    """What can be asked."""
    return {
        "/me": _get("me", "Where the owner of the token stands", "Standing", statuses=(404,)),
        "/users": _get(
            "users",
            "Where users stand, a page at a time",
            "Rows",
            [
                _query("search", "a part of the name", TEXT),
                _query("group", "only members of this group", TEXT),
                _query("policy", "only those with a verdict by this policy", TEXT),
                _query(
                    "state",
                    "only those who are so; empty for all",
                    {"type": "string", "enum": ["", *STATES]},
                ),
                _query(
                    "sort",
                    "`used` is the largest share of an allowance",
                    {"type": "string", "enum": list(SORTS), "default": "name"},
                ),
                _query("limit", "rows at most", _whole(1, ROWS_AT_MOST, 50)),
                _query("offset", "rows to leave out", _whole(0, OFFSET_AT_MOST, 0)),
            ],
        ),
        "/users/{name}": _get_of_user("user", "Where a user stands", "Standing"),
        "/policies": _get("policies", "The policies that concern the token's owner", "Policies"),
        "/users/{name}/usage": _usage(resources),
        "/users/{name}/sessions": _sessions(),
        "/users/{name}/forecast": _forecast(),
        "/openapi.json": _open(),
    }


def schemas() -> Json:
    """What is answered."""
    return {
        **shapes.SHAPES,
        "Standing": shapes.standing(),
        "Forecast": shapes.forecast(),
        "Rows": shapes.closed(
            as_of=shapes.INSTANT,
            items=array(ref("Row")),
            total=shapes.COUNT,
            offset=shapes.COUNT,
            limit=shapes.COUNT,
            next=nullable({"type": "string"}),
        ),
        "Row": shapes.closed(
            user={"type": "string"},
            groups=array({"type": "string"}),
            admin={"type": "boolean"},
            outcome={"enum": [one.value for one in Outcome]},
            retry_time=nullable(shapes.INSTANT),
            state={"enum": list(STATES)},
            verdicts=array(ref("RowVerdict")),
        ),
        "Policies": shapes.closed(items=array(ref("Policy"))),
    }


def _get(
    name: str,
    summary: str,
    schema: str,
    parameters: list[Json] | None = None,
    statuses: tuple[int, ...] = (),
    others: Mapping[str, Json] | None = None,
) -> Json:
    """A path that can only be read."""
    content = {"application/json": {"schema": ref(schema)}} | dict(others or {})
    etag = {"ETag": {"schema": {"type": "string"}, "description": "for `If-None-Match`"}}
    always = (400, 401, 403, 405, 503)
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": parameters or [],
            "responses": {
                "200": {"description": summary, "headers": etag, "content": content},
                "304": {"description": "as it was"},
                **{str(status): _problem(status) for status in sorted({*always, *statuses})},
            },
        }
    }


def _get_of_user(
    name: str, summary: str, schema: str, parameters: list[Json] | None = None
) -> Json:
    of_user = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "the user's name, every character of it encoded that has a meaning in a URL",
        "schema": {"type": "string", "minLength": 1},
    }
    return _get(name, summary, schema, [of_user, *(parameters or [])], (404,))


def _sessions() -> Json:
    form = {"type": "string", "enum": ["json", "csv"]}
    described = _get_of_user(
        "sessions",
        "The sessions of servers behind the usage, the latest first",
        "Sessions",
        [_query("format", "`csv` for a spreadsheet; the header Accept says the same", form)],
    )
    content = described["get"]["responses"]["200"]["content"]
    content["text/csv"] = {"schema": {"type": "string"}}
    return described


def _usage(resources: Sequence[str]) -> Json:
    return _get_of_user(
        "usage",
        "What a user's servers used over time",
        "UsageOverTime",
        [
            _query(
                "resource",
                "one that is measured for a policy",
                {"type": "string", "enum": [*resources]} if resources else TEXT,
                required=True,
            ),
            _query("from", "the default is the beginning of the longest window", _instant()),
            _query("to", "the default is now", _instant()),
            _query(
                "step",
                "the length of the buckets, in UTC",
                {"type": "string", "enum": ["auto", "hour", "day", "week"], "default": "auto"},
            ),
        ],
    )


def _forecast() -> Json:
    return _get_of_user(
        "forecast",
        "How long a server could run if it were started now",
        "Forecast",
        [
            _query("profile", "the slug of its profile", TEXT),
            _query("profile_name", "the display name of its profile", TEXT),
            _query("server", "the name of a named server", TEXT),
            _query("memory", "what it asks for: `8GiB`, or bytes", _memory()),
            _query("cpu", "cores", _amount()),
            _query("gpu", "GPUs", _amount()),
        ],
    )


def _open() -> Json:
    described = _get("openapi", "This document", "Anything")
    described["get"]["security"] = []
    return described


def _problem(status: int) -> Json:
    return {
        "description": shapes.STATUSES[status],
        "content": {"application/problem+json": {"schema": ref("Problem")}},
    }


def _query(
    name: str, description: str, schema: Mapping[str, Any], *, required: bool = False
) -> Json:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": dict(schema),
    }


def _whole(low: int, high: int, default: int) -> Json:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


def _instant() -> Json:
    return {"type": "string", "format": "date-time"}


def _amount() -> Json:
    return {"type": "number", "minimum": 0, "maximum": LARGEST_AMOUNT}


def _memory() -> Json:
    return {"type": "string", "pattern": f"^({MEMORY})$"}
