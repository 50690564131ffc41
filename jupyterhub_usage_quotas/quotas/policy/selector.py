"""Servers: what is known of one, and which of them a policy is about."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


@dataclass(frozen=True, slots=True)
class ServerAttributes:
    """What selectors can name of a server. Usage is kept by these.

    `profile` and `profile_name` are the slug and the display name of the chosen profile, empty
    where there is none; `name` is that of a named server, empty for the default one.
    """

    profile: str = ""
    profile_name: str = ""
    name: str = ""
    gpu: bool = False


def _patterns(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise ValueError(f'must be a list of patterns, such as ["*gpu*"]; given {value!r}')
    wrong = [pattern for pattern in value if not isinstance(pattern, str)]
    if wrong or not value:
        raise ValueError(f"must be a list of at least one pattern, all texts; given {value!r}")
    return tuple(value)


Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]


class ServerSelector(BaseModel):
    """Which servers count towards a policy, and are denied by it.

    A server is selected when everything that is given applies: its profile's slug or display
    name matches one of the patterns in `profile`, its own name one of those in `name` (the
    default server's is empty), and it has a GPU, or none. Patterns are those of file names, and
    upper and lower case differ. An empty selector selects all servers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Patterns = ()
    name: Patterns = ()
    gpu: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        if not isinstance(value, Mapping) or not value:
            raise ValueError(
                'must be a mapping such as {profile: ["*gpu*"]}, {gpu: true} or'
                f' {{name: ["work-*"]}}; given {value!r}'
            )
        if not isinstance(value.get("gpu", True), bool):
            raise ValueError(f"gpu must be true or false; given {value['gpu']!r}")
        return value

    def selects(self, server: ServerAttributes) -> bool:
        """Whether a server is one that the policy is about."""
        profiles = [text for text in (server.profile, server.profile_name) if text]
        return (
            (self.gpu is None or self.gpu == server.gpu)
            and (not self.profile or _any_match(self.profile, *profiles))
            and (not self.name or _any_match(self.name, server.name))
        )


ALL_SERVERS = ServerSelector.model_construct()
"""The selector of a policy that names none."""


def _any_match(patterns: tuple[str, ...], *texts: str) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for text in texts for pattern in patterns)
