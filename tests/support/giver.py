"""Teachers who give more on the dashboard of a Hub."""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.support.visitor import Visitor

API = "/services/usage-quota/api/v1/adjustments"
SCRIPT = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
"""What a browser says of a request by a page of the same origin."""


class Giver:
    """Somebody on the dashboard, in a browser."""

    def __init__(self, url: str, name: str) -> None:
        self.http = Visitor(url, name).http
        page = self.http.get("/services/usage-quota/")
        token = re.search(r'xsrf_token: "([^"]+)"', page.text)
        assert token, page.text
        self.token = token[1]

    def send(self, path: str, content: Any, **headers: str) -> httpx.Response:
        """A request as the dashboard's own scripts make it."""
        more = {"X-XSRFToken": self.token, **SCRIPT} | headers
        return self.http.post(path, json=content, headers=more)

    def give(
        self, policy: str, user: str, amount: str = "2 hours", **headers: str
    ) -> httpx.Response:
        """Give a student more of a policy for a week."""
        wanted = {"kind": "grant", "policy": policy, "users": [user], "amount": amount}
        return self.send(API, {**wanted, "until": "7d", "reason": "a deadline"}, **headers)
