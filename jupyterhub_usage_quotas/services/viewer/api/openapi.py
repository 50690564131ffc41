"""The operations of the viewer's JSON API, which its handlers and its description share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ....ledger.entries import LONGEST_KEY
from ....ledger.reports import RecordedReport
from ....quotas.resource import Resource
from ....quotas.resources import RESOURCES
from ....status.reports import Forecast
from ...web import openapi
from ...web.openapi import Operation, Parameter
from ...web.params import IN_BYTES, LARGEST_AMOUNT, LONGEST_TEXT
from ..table import OFFSET_AT_MOST, ROWS_AT_MOST, SOME_USAGE, SORTS, STATES
from . import models
from .bodies import NewAdjustments, Voiding

LARGEST_ID = 10**15 - 1
"""Of adjustments: all readers of JSON read it exactly."""
Json = dict[str, Any]

TITLE = "Usage quotas of a JupyterHub"
DESCRIPTION = """
Usage and quotas of the users of a JupyterHub, as the Hub itself decides on them.

Amounts are in the unit beside them; times are ISO 8601 in UTC. Where usage is not known, amounts
are null, never zero. Keys are only ever added.

Authenticate with a token of the Hub, `Authorization: token ...`: a user's, a server's
(`JUPYTERHUB_API_TOKEN`) or a service's. It needs the scope `access:services!service=usage-quota`,
and `custom:usage-quotas:read`, which may be limited with `!user=` and `!group=`. A session of a
browser sees its user's own usage, and an admin's everybody's. Scripts of pages that use the session
send the header `X-XSRFToken`.

To give users more needs `custom:usage-quotas:grant`, which may be limited in the same way. Without
`admin:users`, it is only grants to others than oneself, up to a limit for each user and week.
"""

TEXT: Json = {"type": "string", "maxLength": LONGEST_TEXT}
AMOUNT: Json = {"type": "number", "minimum": 0, "maximum": LARGEST_AMOUNT}
INSTANT: Json = {"type": "string", "format": "date-time"}
USERNAME = Parameter(
    "name",
    "the user's name, with every character encoded that has a meaning in a URL",
    {"type": "string", "minLength": 1},
    required=True,
    place="path",
)


def _one_of(*choices: str, **more: Any) -> Json:
    return {"type": "string", "enum": [*choices], **more}


def _whole(low: int, high: int, default: int) -> Json:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


ME = Operation("me", "/me", "Where the owner of the token stands", models.Standing, statuses=(404,))
USERS = Operation(
    "users",
    "/users",
    "Where users stand, a page at a time",
    models.Rows,
    (
        Parameter("search", "a part of the name", TEXT),
        Parameter("group", "only members of this group", TEXT),
        Parameter("policy", "only those with a verdict by this policy", TEXT),
        Parameter("tier", "only those who used something of this tier of the weekly budgets", TEXT),
        Parameter("usage", "`some` for only those who used something", _one_of("", SOME_USAGE)),
        Parameter(
            "state",
            "only users with this severity; empty for all. The earlier words `over`, `soon` and"
            " `within` for `exhausted`, `low` and `ok` are accepted, too",
            _one_of("", *STATES),
        ),
        Parameter(
            "sort", "`used` is the largest share of an allowance", _one_of(*SORTS, default="name")
        ),
        Parameter("limit", "rows at most", _whole(1, ROWS_AT_MOST, 50)),
        Parameter("offset", "rows to leave out", _whole(0, OFFSET_AT_MOST, 0)),
    ),
)
USER = Operation(
    "user", "/users/{name}", "Where a user stands", models.Standing, (USERNAME,), statuses=(404,)
)
POLICIES = Operation(
    "policies", "/policies", "The policies that concern the token's owner", models.Policies
)
SESSIONS = Operation(
    "sessions",
    "/users/{name}/sessions",
    "The sessions of servers behind the usage, the latest first",
    models.Sessions,
    (
        USERNAME,
        Parameter(
            "format",
            "`csv` for a spreadsheet; the header Accept says the same",
            _one_of("json", "csv"),
        ),
    ),
    statuses=(404,),
    csv=True,
)
KEY = Parameter(
    "Idempotency-Key",
    "any text that names this request, for example a UUID: repeated with the same key and the same"
    " body, it is carried out once. Each user and service has keys of their own",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    place="header",
)
AN_ID: Json = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
NUMBER = Parameter(
    "id",
    "the adjustment's number",
    AN_ID,
    required=True,
    place="path",
)
PAGING = (
    Parameter("limit", "adjustments at most", _whole(1, ROWS_AT_MOST, 50)),
    Parameter(
        "before",
        "only those with a smaller `id`",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
    ),
)
FILTERS = (
    Parameter("policy", "only those of this policy", TEXT),
    Parameter(
        "active",
        "`true`: only those in force now; `false`: only those that are past, to come or voided",
        _one_of("true", "false"),
    ),
)
ADJUSTMENTS = Operation(
    "adjustments",
    "/adjustments",
    "The adjustments of the users whom the token's owner may see or give more, the newest first;"
    " those for everyone only for those who may see everybody",
    models.History,
    (
        Parameter("user", "only those of this user", TEXT),
        Parameter("group", "only those of members of this group", TEXT),
        *FILTERS,
        *PAGING,
    ),
    statuses=(404,),
)
ADJUST = Operation(
    "adjust",
    "/adjustments",
    "Give users more, override their limit, or exempt them",
    models.Adjustments,
    (KEY,),
    statuses=(404, 409, 413, 415),
    method="post",
    body=NewAdjustments,
    answers=(
        (201, "they are written; the Hub counts them within a second"),
        (200, "they were written before, by a request with the same key"),
    ),
)
ADJUSTMENT = Operation(
    "adjustment", "/adjustments/{id}", "An adjustment", RecordedReport, (NUMBER,), statuses=(404,)
)
VOID = Operation(
    "void",
    "/adjustments/{id}/void",
    "Void an adjustment. Admins void any, others the grants that they made themselves",
    RecordedReport,
    (NUMBER, KEY),
    statuses=(404, 409, 413, 415),
    method="post",
    body=Voiding,
    answers=((200, "it is voided; the Hub counts it no more within a second"),),
)
HISTORY = Operation(
    "history",
    "/users/{name}/adjustments",
    "What was decided about a user, the newest first: past and voided adjustments, too",
    models.History,
    (USERNAME, *FILTERS, *PAGING),
    statuses=(404,),
)
OPENAPI = Operation("openapi", "/openapi.json", "This document", public=True)


def usage_operation(resources: Sequence[str]) -> Operation:
    """The operation `usage` of a service that knows the usage of these resources."""
    return Operation(
        "usage",
        "/users/{name}/usage",
        "What a user's servers used over time",
        models.UsageOverTime,
        (
            USERNAME,
            Parameter(
                "resource",
                "a resource that some policy limits",
                _one_of(*resources) if resources else TEXT,
                required=True,
            ),
            Parameter("from", "the default is the beginning of the longest window", INSTANT),
            Parameter("to", "the default is now", INSTANT),
            Parameter(
                "step",
                "the length of the buckets, in UTC",
                _one_of("auto", "hour", "day", "week", default="auto"),
            ),
        ),
        statuses=(404,),
    )


def forecast_operation(resources: Iterable[Resource]) -> Operation:
    """The operation `forecast` of a service whose servers may ask for these resources."""
    return Operation(
        "forecast",
        "/users/{name}/forecast",
        "How long a server could run if it were started now",
        Forecast,
        (
            USERNAME,
            Parameter("profile", "the slug of its profile", TEXT),
            Parameter("profile_name", "the display name of its profile", TEXT),
            Parameter("server", "the name of a named server", TEXT),
            *(_asked(one) for one in resources if one.asked),
        ),
        statuses=(404,),
    )


def _asked(resource: Resource) -> Parameter:
    """How much of a resource a server asks for."""
    said = f"how much {resource.in_a_sentence} it asks for"
    if resource.in_bytes:
        schema = {"type": "string", "pattern": f"^({IN_BYTES})$"}
        return Parameter(resource.name, f"{said}: `8GiB`, or bytes", schema)
    return Parameter(resource.name, said, AMOUNT)


USAGE = usage_operation(())
FORECAST = forecast_operation(RESOURCES.values())


def document(
    base_url: str, measured: Sequence[str], resources: Iterable[Resource] = RESOURCES.values()
) -> Json:
    """The whole document of a service at this address, which knows the usage of the `measured`
    resources, and whose servers may ask for those of `resources`.
    """
    usage, forecast = usage_operation(measured), forecast_operation(resources)
    return openapi.document(
        (
            *(ME, USERS, USER, POLICIES, usage, SESSIONS, forecast),
            *(ADJUSTMENTS, ADJUST, ADJUSTMENT, VOID, HISTORY),
            OPENAPI,
        ),
        title=TITLE,
        description=DESCRIPTION,
        address=f"{base_url}api/v1",
    )
