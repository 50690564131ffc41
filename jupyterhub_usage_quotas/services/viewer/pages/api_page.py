"""`/api/v1/` for people: a page that lists the JSON API; for programs its description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...web.openapi import JSON
from ..api.openapi import document
from .handlers import ViewerPage

HTML = "text/html"


@dataclass(frozen=True, slots=True)
class ApiPath:
    """A path of the API: `address` as a link where it needs nothing filled in, else empty."""

    path: str
    summary: str
    address: str
    parameters: tuple[tuple[str, str], ...]


def paths(described: Mapping[str, Any], address: str) -> Iterator[ApiPath]:
    """The paths of a description that can be read, in its order."""
    for path, methods in described["paths"].items():
        # What changes something cannot be opened as a link; the description has it.
        operation = methods.get("get")
        if operation is None:
            continue
        given: Sequence[Mapping[str, Any]] = operation.get("parameters", ())
        needed = any(one["required"] for one in given)
        yield ApiPath(
            path.lstrip("/"),
            operation["summary"],
            "" if needed else address + path.lstrip("/"),
            tuple((one["name"], one["description"]) for one in given if one["in"] == "query"),
        )


class ApiPage(ViewerPage):
    """`api/v1/`: what there is."""

    needs_login = False

    async def get(self) -> None:
        """A page where a browser requests it, else the API's description."""
        policies, base_url = self.context.statuses.policies, self.hub_auth.base_url
        measured, resources = sorted(policies.measured_over_time), policies.resources.values()
        described, address = document(base_url, measured, resources), f"{base_url}api/v1/"
        self.set_header("Vary", "Accept, Cookie, Authorization")
        if HTML not in self.request.headers.get("Accept", ""):
            self.set_header("Content-Type", JSON)
            self.finish(json.dumps(described))
            return
        await self._identify()
        if not self._finished:
            listed = list(paths(described, address))
            self.show("usage-quota-api.html", paths=listed, address=address)

    head = get
