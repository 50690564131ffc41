"""Answers for programs: JSON with an ETag, and problems that name what is wrong."""

from __future__ import annotations

import json
from typing import Any

from ..viewer.api.openapi import parameters_of
from .handler import Visit
from .hub_api import HubUnavailable
from .params import BadParameter, refuse_unknown

JSON = "application/json"
PROBLEM = "application/problem+json"

PROBLEMS = {
    401: "Send a token of the JupyterHub as `Authorization: token ...`, or log in.",
    403: "This token or session lacks the scope that is needed.",
    404: "There is no such thing, or it is not for you to see.",
    405: "This cannot be done here; see the header Allow.",
    503: "The JupyterHub does not answer at the moment.",
}


class Api(Visit):
    """An answer for programs. `operation` is its name in the description."""

    operation = ""

    async def prepare(self) -> None:
        """Find out who asks, and refuse parameters that mean nothing here."""
        await super().prepare()
        if not self._finished:
            # JupyterHub's token against forged requests may be a parameter, too.
            given = self.request.query_arguments.keys() - {"_xsrf"}
            refuse_unknown(given, parameters_of(self.operation) if self.operation else ())

    def answer(self, content: Any, content_type: str = JSON) -> None:
        """Answer with values; Tornado adds the ETag, and makes it 304 where that is known."""
        # The page's policy for scripts is not for data: nothing in it is to be loaded.
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("Content-Type", content_type)
        text = content if isinstance(content, str) else json.dumps(content, allow_nan=False)
        self.finish(text)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """What a visitor got wrong, and a Hub that does not answer, are not faults of ours."""
        if isinstance(value, HubUnavailable):
            self.services.configured.viewer.log.warning("The Hub does not answer: %s", value)
        elif not isinstance(value, BadParameter):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A problem (RFC 9457), which says nothing about the inside."""
        info = kwargs.get("exc_info")
        error = info[1] if info else None
        problem: dict[str, Any] = {"type": "about:blank"}
        if isinstance(error, BadParameter):
            status_code = 400
            problem |= {"detail": f"{error.name}: {error}", "parameter": error.name}
        elif isinstance(error, HubUnavailable):
            status_code = 503
        if status_code == 401:  # noqa: PLR2004
            self.set_header("WWW-Authenticate", 'Bearer realm="JupyterHub"')
        elif status_code == 405:  # noqa: PLR2004
            self.set_header("Allow", ", ".join(self.allowed_methods))
        title = self.reason_of(status_code)
        if status_code in PROBLEMS:
            problem.setdefault("detail", PROBLEMS[status_code])
        self.set_status(status_code)
        self.set_header("Content-Type", PROBLEM)
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.finish(json.dumps({"title": title, "status": status_code} | problem))
