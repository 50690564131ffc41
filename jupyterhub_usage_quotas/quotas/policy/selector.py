"""Selectors: the attributes of a server, and the servers that a policy is about."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..messages import wrong
from .patterns import broken

SERVER = "server"
"""The kind of what JupyterHub starts."""
BY_PROFILE: Final = "profile"
BY_GPU: Final = "gpu"
"""The attributes of a server about to start that may not be known."""
CHOSEN: Final = "="
"""Between an option of a profile and what is chosen."""
LONGEST_PROFILE: Final = 253
"""Characters of a slug with what is chosen, as Kubernetes limits names."""

LONGEST_NAME: Final = 253
"""Characters of a server's name."""


def bounded_name(name: str) -> str:
    """The name of a server as it is known here: of one that is too long the beginning, and what
    tells it from others with the same beginning. Whoever starts a server writes its name.
    """
    if len(name) <= LONGEST_NAME:
        return name
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - len(mark) - 1]}-{mark}"


@dataclass(frozen=True, slots=True)
class ServerAttributes:
    """What selectors can name of a server. Usage is kept by these.

    `profile` and `profile_name` are the slug and the display name of the chosen profile, empty
    where there is none; `name` is that of a named server, empty for the default one. `gpu` is
    whether it has one, None where that is not known: it is then selected by neither. What is chosen
    in the profile's options follows its slug: "large/memory=mem_488". `kind` is `SERVER`, or what
    else runs in a user's name: a Dask worker, for example.
    """

    profile: str = ""
    profile_name: str = ""
    name: str = ""
    gpu: bool | None = False
    kind: str = SERVER

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME:
            # Written around the freezing: it has never been another.
            object.__setattr__(self, "name", bounded_name(self.name))

    @property
    def slug(self) -> str:
        """The slug of the profile."""
        first, *others = self.profile.split("/")
        return "/".join([first, *(part for part in others if CHOSEN not in part)])

    @property
    def choices(self) -> tuple[str, ...]:
        """What selectors can name of the choices: "large/memory=mem_488" and "large/mem_488"."""
        chosen = [part for part in self.profile.split("/")[1:] if CHOSEN in part]
        every = (name for part in chosen for name in (part, part.partition(CHOSEN)[2]))
        return tuple(f"{self.slug}/{name}" for name in every)


def marks_of(choices: Mapping[str, str], slug: str = "") -> tuple[str, ...]:
    """What is chosen in a profile of this slug, by option, as parts of `ServerAttributes.profile`.

    Left out is what cannot be written so, and what makes it too long.
    """
    marks, length = [], len(slug)
    for option, choice in choices.items():
        mark = f"{option}{CHOSEN}{choice}"
        length += len(mark) + 1
        plain = mark.isprintable() and "/" not in mark and mark.count(CHOSEN) == 1
        if plain and length <= LONGEST_PROFILE:
            marks.append(mark)
    return tuple(marks)


def _patterns(value: object) -> tuple[str, ...]:
    expected = 'a list of patterns, for example ["*gpu*"]'
    if not isinstance(value, list | tuple):
        raise ValueError(wrong("must be a list", value, expected))
    if not value or not all(isinstance(pattern, str) for pattern in value):
        raise ValueError(wrong("must be a list of at least one pattern, all texts", value))
    for pattern in value:
        # An empty one is the default server's name.
        if pattern and (why := broken(pattern)):
            raise ValueError(wrong(why, pattern, expected))
    return tuple(value)


Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]


class ServerSelector(BaseModel):
    """Which servers count towards a policy, and are denied by it.

    A server is selected when everything that is given applies: its profile's slug or display
    name matches one of the patterns in `profile`, and none of those in `except_profile`, its own
    name one of those in `name` (the default server's is empty), it has a GPU, or none, and its kind
    matches one of those in `kind`. A server without a profile has none that could be excepted.
    Only JupyterHub's own servers have a name. A pattern with a slash is one of a choice in a
    profile: "large/mem_488", "large/memory=mem_488" or "*/mem_488". Patterns are those of file
    names, and upper and lower case differ. An empty selector selects all servers, of any kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Patterns = ()
    except_profile: Patterns = ()
    name: Patterns = ()
    gpu: bool | None = None
    kind: Patterns = ()

    @field_validator("profile", "except_profile", "kind")
    @classmethod
    def _have_names(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "" in value:
            what = (info.field_name or "").removeprefix("except_")
            why = f"empty pattern, which matches no {what}"
            raise ValueError(wrong(why, list(value)))
        return value

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        if not isinstance(value, Mapping) or not value:
            expected = '{profile: ["*gpu*"]}, {gpu: true} or {name: ["work-*"]}'
            raise ValueError(wrong("must be a mapping", value, expected))
        if not isinstance(value.get("gpu", True), bool):
            raise ValueError(wrong("gpu", value["gpu"], "true or false"))
        return value

    def selects(self, server: ServerAttributes, unknown: Collection[str] = ()) -> bool:
        """Whether a server is one that the policy is about. Where `profile` or `gpu` are unknown of
        it, it is one that cannot be told apart from those.
        """
        return (
            (self.gpu is None or BY_GPU in unknown or self.gpu == server.gpu)
            and (BY_PROFILE in unknown or self._selects_profile(server))
            and (not self.name or (server.kind == SERVER and _any_match(self.name, server.name)))
            and (not self.kind or _any_match(self.kind, server.kind))
        )

    def depends_on(self, unknown: Collection[str]) -> bool:
        """Whether what it selects depends on one of these attributes of a server."""
        return (BY_PROFILE in unknown and self.by_profile) or (
            BY_GPU in unknown and self.gpu is not None
        )

    @property
    def by_profile(self) -> bool:
        """Whether the profile decides what is selected."""
        return bool(self.profile or self.except_profile)

    def _selects_profile(self, server: ServerAttributes) -> bool:
        wanted = not self.profile or _has_profile(server, self.profile)
        return wanted and not _has_profile(server, self.except_profile)


ALL_SERVERS = ServerSelector.model_construct()
"""The selector of a policy that names none."""


def _has_profile(server: ServerAttributes, patterns: tuple[str, ...]) -> bool:
    """Whether the profile of a server, or what is chosen in it, matches one of the patterns."""
    names = [text for text in (server.slug, server.profile_name) if text]
    # A pattern of a profile is none of what is chosen in it.
    of_choices = tuple(pattern for pattern in patterns if "/" in pattern)
    return _any_match(patterns, *names) or _any_match(of_choices, *server.choices)


def _any_match(patterns: tuple[str, ...], *texts: str) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for text in texts for pattern in patterns)
