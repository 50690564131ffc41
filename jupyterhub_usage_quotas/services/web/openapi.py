"""The description of a service's JSON API, as OpenAPI 3.1: made from the models that it answers
with, and from the operations that its handlers have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

Json = dict[str, Any]

JSON = "application/json"
PROBLEM = "application/problem+json"
CSV = "text/csv"

ALWAYS = (400, 401, 403, 405, 503)
STATUSES = {
    400: "a parameter or the body cannot be used; the problem names what in it",
    401: "no token, or an invalid one",
    403: "the token lacks a scope, or its owner may not do this",
    404: "not found, or not visible to the token's owner; the answer does not say which",
    405: "this method is not allowed here",
    409: "the key belongs to another request, or what is to be done was done before",
    413: "the body is too long",
    415: "the body is not JSON",
    503: "the Hub, or its ledger, does not answer",
}
ETAG = {"ETag": {"schema": {"type": "string"}, "description": "for `If-None-Match`"}}
TOKEN = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "`token ...`, with a token of the JupyterHub",
}


class Problem(BaseModel):
    """What is wrong (RFC 9457)."""

    model_config = ConfigDict(frozen=True)

    title: str = Field(description="the usual words for the status")
    status: int
    type: str = Field(description="always `about:blank`")
    detail: str = Field(default="", description="what is wrong, and what is expected")
    parameter: str = Field(default="", description="the parameter that cannot be used")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation; `schema` is JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any]
    required: bool = False
    place: str = "query"

    def described(self) -> Json:
        """It as OpenAPI."""
        return {
            "name": self.name,
            "in": self.place,
            "required": self.required,
            "description": self.description,
            "schema": dict(self.schema),
        }


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be done at a path.

    It answers with a model; with any object if there is none; with CSV, too, where it has that.
    `statuses` are the failures beside those that every operation has. What it needs in the body is
    a model, too; `answers` are the statuses with which it succeeds, and what each says.
    """

    name: str
    path: str
    summary: str
    answer: type[BaseModel] | None = None
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = ()
    method: str = "get"
    csv: bool = False
    public: bool = False
    body: type[BaseModel] | None = None
    answers: tuple[tuple[int, str], ...] = ()

    @property
    def query_names(self) -> tuple[str, ...]:
        """The names of the parameters that may follow the question mark."""
        return tuple(one.name for one in self.parameters if one.place == "query")

    def described(self) -> Json:
        """It as OpenAPI."""
        schema = _ref(self.answer.__name__) if self.answer else {"type": "object"}
        content: Json = {JSON: {"schema": schema}}
        if self.csv:
            content[CSV] = {"schema": {"type": "string"}}
        failures = sorted({*ALWAYS, *self.statuses})
        answers: Json = {
            str(status): {"description": what, "content": content} for status, what in self.answers
        }
        body: Json = {}
        if self.body:
            of_body = {JSON: {"schema": _ref(self.body.__name__)}}
            body = {"requestBody": {"required": True, "content": of_body}}
        return {
            "operationId": self.name,
            "summary": self.summary,
            "parameters": [one.described() for one in self.parameters],
            **body,
            "responses": {
                **(answers or self._read(content)),
                **{str(status): _failure(status) for status in failures},
            },
            **({"security": []} if self.public else {}),
        }

    def _read(self, content: Json) -> Json:
        """The answers of an operation that only reads."""
        return {
            "200": {"description": self.summary, "headers": ETAG, "content": content},
            "304": {"description": "not modified"},
        }


def document(
    operations: Sequence[Operation], *, title: str, description: str, address: str
) -> Json:
    """The whole document of the API at this address."""
    paths: dict[str, Json] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method] = one.described()
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description.strip(), "version": "1"},
        "servers": [{"url": address}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas([*_models(operations), Problem])
            | schemas([one.body for one in operations if one.body], "validation"),
            "securitySchemes": {"token": TOKEN},
        },
    }


def _models(operations: Iterable[Operation]) -> Iterator[type[BaseModel]]:
    return (one.answer for one in operations if one.answer)


def schemas(models: Iterable[type[BaseModel]], mode: str = "serialization") -> Json:
    """The schemas of what these models look like as JSON, and of what they are made of, by name;
    with the mode "validation", of what may be sent.
    """
    asked = [(model, mode) for model in dict.fromkeys(models)]
    _, made = models_json_schema(
        asked,  # type: ignore[arg-type] # the mode is a literal
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    found: Json = made.get("$defs", {})
    for one in found.values():
        one.pop("title", None)
    return found


class _Schemas(GenerateJsonSchema):
    """Without titles that only repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 pydantic's signature
        return False


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _failure(status: int) -> Json:
    content = {PROBLEM: {"schema": _ref(Problem.__name__)}}
    return {"description": STATUSES[status], "content": content}
