"""Answers for programs: JSON with an ETag, and problems that name what is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from tornado.web import HTTPError

from .handler import Handler
from .params import BadParameter, refuse_unknown

JSON = "application/json"
PROBLEM = "application/problem+json"

PROBLEMS = {
    401: "Send a token of the JupyterHub as `Authorization: token ...`, or log in.",
    403: "This token or session lacks the scope that is needed.",
    404: "Not found, or you don't have access.",
    405: "This cannot be done here; see the header Allow.",
    503: "The JupyterHub does not answer at the moment.",
}


class JsonHandler(Handler):
    """An answer for programs."""

    @property
    def parameters(self) -> Collection[str]:
        """The names of the parameters that may follow the question mark."""
        return ()

    async def prepare(self) -> None:
        """Find out who asks, and refuse parameters that mean nothing here."""
        await super().prepare()
        if not self._finished:
            # JupyterHub's token against forged requests may be a parameter, too.
            given = self.request.query_arguments.keys() - {"_xsrf"}
            refuse_unknown(given, self.parameters)

    def answer(self, content: Any, content_type: str = JSON) -> None:
        """Answer with values; Tornado adds the ETag, and makes it 304 where that is known."""
        self._protect(content_type)
        self.set_header("Cache-Control", "private, no-cache")
        text = content if isinstance(content, str) else json.dumps(content, allow_nan=False)
        self.finish(text)

    def write_problem(self, status: int, reason: str, parameter: BadParameter | None) -> None:
        """A problem (RFC 9457)."""
        problem: dict[str, Any] = {"title": reason, "status": status, "type": "about:blank"}
        if parameter:
            problem |= {"detail": f"{parameter.name}: {parameter}", "parameter": parameter.name}
        elif status in PROBLEMS:
            problem["detail"] = PROBLEMS[status]
        if status == 401:  # noqa: PLR2004
            self.set_header("WWW-Authenticate", 'Bearer realm="JupyterHub"')
        self._protect(PROBLEM)
        self.finish(json.dumps(problem))

    def _protect(self, content_type: str) -> None:
        # The page's policy for scripts is not for data: nothing in it is to be loaded.
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Content-Type", content_type)


class NoJson(JsonHandler):
    """Every address of an API at which nothing is."""

    needs_login = False

    async def prepare(self) -> None:
        """Not found, whatever the method."""
        raise HTTPError(404)
