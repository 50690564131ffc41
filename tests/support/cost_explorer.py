"""A stand-in for AWS Cost Explorer over HTTP, which means what a filter says: botocore talks with
it. It groups, leaves out what is not there, writes keys of tags as AWS does, and turns pages.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.account import Charge

ON_A_PAGE = 7
"""Days of an answer."""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "made-up",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}


def is_in(charge: Charge, only: Mapping[str, Any]) -> bool:
    """Whether a charge is selected by a filter, by Cost Explorer's grammar."""
    assert len(only) == 1, f"an expression is one thing: {only}"
    ((how, of),) = only.items()
    if how in ("And", "Or"):
        assert len(of) >= 2, f"{how} needs two: {of}"
        found = [is_in(charge, one) for one in of]
        return all(found) if how == "And" else any(found)
    if how == "Not":
        return not is_in(charge, of)
    options, values = of.get("MatchOptions", ["EQUALS"]), of.get("Values", [])
    if how == "Tags":
        value = charge.tags.get(of["Key"])
        return value is None if options == ["ABSENT"] else value in values
    assert how == "Dimensions"
    dimensions = {
        "SERVICE": charge.service,
        "RECORD_TYPE": charge.kind,
        "USAGE_TYPE_GROUP": charge.usage,
    }
    assert options == ["EQUALS"]
    assert values
    return dimensions[of["Key"]] in values


@dataclass
class CostExplorer:
    """The charges of an account; `failure` is the code of an error in place of answers."""

    charges: Sequence[Charge]
    failure: str = ""
    url: str = ""
    active: Sequence[str] | None = ()
    """The keys of the cost allocation tags that are active; None where they may not be listed."""
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def answer(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(asked)
        period = asked["TimePeriod"]
        first, last = (date.fromisoformat(period[name]) for name in ("Start", "End"))
        assert first < last
        start = date.fromisoformat(asked.get("NextPageToken", str(first)))
        until = min(start + timedelta(days=ON_A_PAGE), last)
        only = asked.get("Filter")
        days = [start + timedelta(days=number) for number in range((until - start).days)]
        of_day: dict[date, list[Charge]] = defaultdict(list)
        for one in self.charges:
            if not only or is_in(one, only):
                of_day[one.day].append(one)
        results = [self._result(day, of_day[day], asked["GroupBy"]) for day in days]
        more = {"NextPageToken": str(until)} if until < last else {}
        return {"ResultsByTime": results, **more}

    def _result(self, day: date, charges: Sequence[Charge], by: Any) -> Mapping[str, Any]:
        assert len(by) <= 2
        sums: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
        for one in charges:
            sums[tuple(_key(one, part) for part in by)] += Decimal(one.amount)
        groups = [
            {"Keys": keys, "Metrics": {"UnblendedCost": {"Amount": str(cost), "Unit": "USD"}}}
            for keys, cost in sums.items()
        ]
        period = {"Start": str(day), "End": str(day + timedelta(days=1))}
        estimated = any(one.estimated for one in self.charges if one.day == day)
        return {"TimePeriod": period, "Total": {}, "Groups": groups, "Estimated": estimated}


def _key(charge: Charge, by: Mapping[str, str]) -> str:
    if by["Type"] == "TAG":
        return f"{by['Key']}${charge.tags.get(by['Key'], '')}"
    return {"SERVICE": charge.service, "RECORD_TYPE": charge.kind}[by["Key"]]


@contextmanager
def cost_explorer(charges: Sequence[Charge]) -> Iterator[CostExplorer]:
    """It, over HTTP; botocore finds it by its environment."""
    made = CostExplorer(charges)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            what = self.headers["X-Amz-Target"].rpartition(".")[2]
            assert what in ("GetCostAndUsage", "ListCostAllocationTags")
            status, said = 200, {}
            if what == "ListCostAllocationTags" and made.active is None:
                status, said = 400, {"__type": "AccessDeniedException", "message": "not you"}
            elif what == "ListCostAllocationTags":
                tags = [
                    {"TagKey": key, "Type": "UserDefined", "Status": "Active"}
                    for key in made.active
                ]
                said = {"CostAllocationTags": tags}
            elif made.failure:
                status, said = 400, {"__type": made.failure, "message": "a made-up failure"}
            else:
                said = dict(made.answer(json.loads(body)))
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_COST_EXPLORER": made.url}.items():
            patch.setenv(name, value)
        try:
            yield made
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
