"""Stores that limit how long a time a query is about, as hosted ones do, mostly to a month."""

from __future__ import annotations

import json
import re

from .faulty_proxy import Answer, Asked, Fault, Plan, honest


def at_most(seconds: float) -> Plan:
    """Refuses queries about more than that, by their range or by what they select."""

    def plan(asked: Asked) -> Fault:
        ranges = [int(length) / 1000 for length in re.findall(r"\[(\d+)ms", asked.query)]
        parameters = asked.parameters
        span = float(parameters.get("end", 0)) - float(parameters.get("start", 0))
        return honest if max([span, *ranges]) <= seconds else refused

    return plan


def refused(_asked: Asked) -> Answer:
    """As Mimir says it."""
    said = {"status": "error", "errorType": "bad_data", "error": "the query time range is too long"}
    return Answer(json.dumps(said).encode(), status=422)
