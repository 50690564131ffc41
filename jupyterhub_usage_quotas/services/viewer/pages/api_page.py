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
    """What can be done at a path of the API: `address` as a link where it only reads and needs
    nothing filled in, else empty.
    """

    method: str
    path: str
    summary: str
    address: str
    parameters: tuple[tuple[str, str], ...]


def paths(described: Mapping[str, Any], address: str) -> Iterator[ApiPath]:
    """The operations of a description, in its order."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            given: Sequence[Mapping[str, Any]] = operation.get("parameters", ())
            is_link = method == "get" and not any(one["required"] for one in given)
            yield ApiPath(
                method.upper(),
                path.lstrip("/"),
                operation["summary"],
                address + path.lstrip("/") if is_link else "",
                tuple((one["name"], one["description"]) for one in given if one["in"] != "path"),
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
