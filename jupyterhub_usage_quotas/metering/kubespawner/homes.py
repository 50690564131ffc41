"""The names of users' home directories, made by KubeSpawner's own code.

KubeSpawner makes two kinds of names that are safe in directories and Kubernetes out of usernames;
a home directory is one of them, in most hubs as it is (the `subPath` of the volume).
"""

from __future__ import annotations

import string
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from ...quotas.messages import wrong

SCHEMES = {"safe": "{safe_username}", "escape": "{escaped_username}"}
"""What can be written in short, and the pattern that it stands for."""

FIELDS = ("username", "safe_username", "escaped_username", "unescaped_username")
"""What a pattern can be made of: KubeSpawner's own names; `username` is the safe one."""

LONGEST_SAFE = 48
"""Characters of a safe name, as KubeSpawner has it; a longer one is cut and gets a hash."""

KEPT = 20_000
"""The number of users whose directory names are cached."""


def pattern_of(scheme: str) -> str:
    """The pattern of a scheme or a pattern; raises ValueError that says what is wrong with it."""
    pattern = SCHEMES.get(scheme, scheme)
    fields = ", ".join(f"{{{one}}}" for one in FIELDS)
    right = wrong(got=scheme, expected=f'"safe", "escape" or a pattern of {fields}')
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"{right}: {error}") from error
    used = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    for name, spec, conversion in used:
        if name not in FIELDS or spec or conversion:
            raise ValueError(right)
    if not used:
        raise ValueError(f"{right}: without a username all users would have the same home")
    return pattern


def home_names(scheme: str) -> Callable[[str], str]:
    """The function from a username to the name of the user's home directory.

    It raises UnicodeError for names that are not valid Unicode. Raises ValueError as `pattern_of`.
    """
    pattern = pattern_of(scheme)
    # Now, and not for the first name: that is needed on an event loop, during a launch.
    safe_slug, escape_slug = _slugs()

    @lru_cache(maxsize=KEPT)
    def name_of(username: str) -> str:
        safe = safe_slug(username)
        name = pattern.format(
            username=safe,
            safe_username=safe,
            escaped_username=escape_slug(username),
            unescaped_username=username,
        )
        # As KubeSpawner: what is left of a name that was empty is no part of it.
        return name if pattern.endswith("-") else name.rstrip("-")

    return name_of


def _slugs() -> tuple[Callable[[str], str], Callable[[str], str]]:
    """KubeSpawner's functions that make safe and escaped names."""
    slugs = _module_of_slugs()
    if slugs is None:
        return _escaped, _escaped
    return partial(slugs.safe_slug, max_length=LONGEST_SAFE), slugs.escape_slug


def _module_of_slugs() -> ModuleType | None:
    """`kubespawner.slugs`, by itself where nobody has imported the package yet: that imports a
    client of Kubernetes, which takes more than a second of every start. None before KubeSpawner 7.
    """
    if "kubespawner" in sys.modules:
        try:
            return import_module("kubespawner.slugs")
        except ImportError:
            return None
    package = find_spec("kubespawner")
    path = Path(package.origin).with_name("slugs.py") if package and package.origin else None
    if path is None or not path.is_file():
        return None
    spec = spec_from_file_location("kubespawner_slugs", path)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _escaped(username: str) -> str:
    """What KubeSpawner 6 does, which knows one kind of names and has no function for it."""
    from escapism import escape  # noqa: PLC0415 as KubeSpawner, with which it comes

    safe = {*string.ascii_lowercase, *string.digits}
    return str(escape(username, safe=safe, escape_char="-").lower())
