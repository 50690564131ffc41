"""Answers for programs: JSON with an ETag, and problems that name what is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError
from tornado.web import HTTPError

from ...quotas.messages import wrong
from .handler import Handler
from .openapi import JSON, PROBLEM, Operation, Problem
from .params import BadParameter, Refused, bad_parameter, refuse_unknown

Body = TypeVar("Body", bound=BaseModel)

PROBLEMS = {
    401: "Send a token of the JupyterHub as `Authorization: token ...`, or log in. A page that uses"
    " a session sends its token against forged requests as `X-XSRFToken`, too.",
    403: "This token or session lacks the scope that is needed.",
    404: "Not found, or you don't have access.",
    405: "This cannot be done here; see the header Allow.",
    503: "The JupyterHub, or where it keeps people's decisions, does not answer at the moment.",
}


class JsonHandler(Handler):
    """An answer for programs. `operation` is what the API's description says of it."""

    operation: ClassVar[Operation | None] = None
    writing: ClassVar[Operation | None] = None
    """What can be done by POST."""

    @property
    def parameters(self) -> Collection[str]:
        """The names of the parameters that mean something here."""
        operation = self.writing if self.request.method == "POST" else self.operation
        return operation.query_names if operation else ()

    async def prepare(self) -> None:
        """Identify the visitor, and refuse parameters that mean nothing here."""
        await super().prepare()
        if not self._finished:
            # JupyterHub's token against forged requests may be a parameter, too.
            given = self.request.query_arguments.keys() - {"_xsrf"}
            refuse_unknown(given, self.parameters)

    def body(self, kind: type[Body]) -> Body:
        """The body of the request. Raises `Refused` for what is not JSON, and `BadParameter` for
        what is not of this kind.
        """
        content_type = self.request.headers.get("Content-Type", "").partition(";")[0]
        if content_type.strip().lower() != JSON:
            # A page of another origin can send forms and plain text, without asking.
            raise Refused(415, wrong("the body", content_type, f"{JSON}, as Content-Type"))
        try:
            return kind.model_validate_json(self.request.body)
        except ValidationError as error:
            raise bad_parameter(error) from None

    def answer(self, content: BaseModel | dict[str, Any]) -> None:
        """Answer with a model, or with a document that is not made of one."""
        text = as_json(content) if isinstance(content, BaseModel) else json.dumps(content)
        self.answer_text(text, JSON)

    def answer_text(self, text: str, content_type: str) -> None:
        """Answer with a text; Tornado adds the ETag, and makes it 304 where that is known."""
        self._protect(content_type)
        self.set_header("Cache-Control", "private, no-cache")
        self.finish(text)

    def write_problem(self, status: int, reason: str, why: BadParameter | Refused | None) -> None:
        """A problem."""
        more: dict[str, str] = {}
        if why and why.name:
            more = {"detail": f"{why.name}: {why}", "parameter": why.name}
        elif why:
            more = {"detail": str(why)}
        elif status in PROBLEMS:
            more = {"detail": PROBLEMS[status]}
        if status == 401:  # noqa: PLR2004
            self.set_header("WWW-Authenticate", 'Bearer realm="JupyterHub"')
        problem = Problem(title=reason, status=status, type="about:blank", **more)
        self._protect(PROBLEM)
        self.finish(json.dumps(problem.model_dump(exclude_defaults=True)))

    def _protect(self, content_type: str) -> None:
        # The page's policy for scripts is not for data: nothing in it is to be loaded.
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Content-Type", content_type)


def as_json(model: BaseModel) -> str:
    """The text of a model, whatever names are made of."""
    try:
        return model.model_dump_json(by_alias=True)
    except PydanticSerializationError:
        # Some name is not valid Unicode. JSON can hold it, escaped.
        return json.dumps(model.model_dump(by_alias=True), allow_nan=False)


class NoJson(JsonHandler):
    """Every address of an API at which nothing is."""

    needs_login = False

    async def prepare(self) -> None:
        """Not found, whatever the method."""
        raise HTTPError(404)
