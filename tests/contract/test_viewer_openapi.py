"""The JSON API keeps to its own description, whatever it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from jupyterhub_usage_quotas import EVERYONE, SqlLedger
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Usage
from jupyterhub_usage_quotas.services.viewer.api.openapi import document
from tests.support.examples import FEW
from tests.support.viewer import (
    PREFIX,
    UNKNOWN,
    Viewer,
    running_viewer,
    the_minute,
    token_of,
)

GIB_HOUR = 1024.0**3 * 3600
EVERYBODY = {"everyone": True}
SECTIONS: dict[str, Any] = {
    "UsageConfig": {
        "credit_prices": {"memory": 1},
        "resources": {"licence": {"promql": "x", "unit": "licence", "display_name": "Licences"}},
    },
    "UsageQuotaManager": {
        "policy": [
            {
                "name": "week",
                "resource": "memory",
                "limit": "8 GiB-hours",
                "window": 7,
                "scope": EVERYBODY,
            },
            {"resource": "time", "limit": "0 hours", "window": "1h", "scope": {"group": ["red"]}},
            {
                "resource": "gpu",
                "limit": "4 GPU-hours",
                "window": {"calendar": "month"},
                "scope": EVERYBODY,
                "servers": {"profile": ["*gpu*"]},
                "when_exhausted": "warn",
            },
            {
                "name": "pool",
                "resource": "cpu",
                "limit": "4 CPU-hours",
                "window": {"refill": 1, "every": "1h"},
                "scope": {"group": ["red"]},
                "share": "pooled",
                "exempt": {"admin": True},
            },
            {"resource": "credits", "limit": "9 credits", "window": 7, "scope": EVERYBODY},
            {"resource": "licence", "limit": "9 licence-hours", "window": 7, "scope": EVERYBODY},
        ]
    },
}
MEASURED = ["cpu", "gpu", "licence", "memory", "time"]
SCHEMA = schemathesis.openapi.from_dict(document(PREFIX, MEASURED))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
ACCEPTED = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
IMPLIED = {
    # That `from` is before `to`, and `step` not too short, is more than a schema can say.
    "/users/{name}/usage": [ACCEPTED],
    # Nor can it say which amount goes with which policy and kind.
    "/adjustments": [ACCEPTED],
}


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.sqlite"
    asyncio.run(make_ledger(url))
    rules = SECTIONS | {"UsageConfig": SECTIONS["UsageConfig"] | {"ledger_url": url}}
    with running_viewer(rules) as running:
        hub = running.hub
        hub.add_user("admin", "red", admin=True)
        hub.add_user("0", "red")
        hub.add_user("over", "blue")
        now = the_minute()
        buckets = tuple(
            Bucket(
                now.timestamp() - hours * 3600,
                now.timestamp() - hours * 3600 + 1800,
                GIB_HOUR,
                ServerAttributes("gpu-large", "Large", f"s{hours}", gpu=True),
            )
            for hours in range(1, 100, 7)
        )
        usage = Usage(buckets, now, 0.5)
        readings = {resource: Fresh(usage) for resource in ("memory", "gpu", "cpu")}
        running.meter.readings = {
            "over": {**readings, "licence": Stale(usage, "stale", "a while ago")},
            "0": {"memory": Fresh(usage), "gpu": UNKNOWN},
        }
        yield running


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_answers_are_as_described(operation: Any, viewer: Viewer):
    headers = {"Authorization": f"token {token_of('admin')}"}
    cases = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(FEW, derandomize=True)
    @given(case=st.one_of(cases))
    def answers_are_as_described(case: Any) -> None:
        case.call_and_validate(
            base_url=f"{viewer.url}{PREFIX}api/v1",
            headers=headers,
            excluded_checks=IMPLIED.get(case.path, []),
        )

    answers_are_as_described()


def test_the_served_document_is_the_one_that_is_tested(viewer: Viewer):
    assert viewer.get("api/v1/openapi.json").json() == document(PREFIX, MEASURED)


PATHS = [
    "me",
    "users",
    "users?sort=-used&limit=1",
    "users/over",
    "users/0",
    "policies",
    "users/over/usage?resource=memory",
    "users/over/usage?resource=licence",
    "users/0/usage?resource=gpu",
    "users/over/sessions",
    "users/0/sessions",
    "users/over/forecast?memory=1GiB&cpu=1",
    "users/0/forecast",
    "adjustments",
    "adjustments?user=over&policy=week&active=true&limit=1",
    "users/over/adjustments",
]


@pytest.mark.parametrize("path", PATHS)
def test_answers_about_real_users_are_as_described(path, viewer: Viewer):
    """Names that are made up are mostly nobody's."""
    answer = viewer.api(path, "admin")
    assert answer.status_code == 200, answer.text
    template = "/" + path.partition("?")[0].replace("over", "{name}").replace("/0", "/{name}")
    operation = SCHEMA[template]["GET"]
    operation.validate_response(answer)


def test_what_is_decided_is_answered_as_described(viewer: Viewer):
    wanted = {"kind": "grant", "policy": "week", "users": ["over"], "amount": "1 GiB-hour"}
    wanted |= {"until": "7d", "reason": "a late deadline"}
    key = {"Idempotency-Key": "one"}
    for status in (201, 200):
        made = viewer.api("adjustments", "admin", method="POST", json=wanted, headers=key)
        assert made.status_code == status
        SCHEMA["/adjustments"]["POST"].validate_response(made)
    (number,) = (one["id"] for one in made.json()["items"])
    found = viewer.api(f"adjustments/{number}", "admin")
    assert found.status_code == 200
    SCHEMA["/adjustments/{id}"]["GET"].validate_response(found)
    for status in (200, 409):
        voided = viewer.api(
            f"adjustments/{number}/void", "admin", method="POST", json={"reason": "no more"}
        )
        assert voided.status_code == status
        SCHEMA["/adjustments/{id}/void"]["POST"].validate_response(voided)


async def make_ledger(url: str) -> None:
    """What the Hub does when it starts."""
    ledger = SqlLedger.at(url, upgrade=True)
    await ledger.history(EVERYONE)
    await ledger.aclose()
