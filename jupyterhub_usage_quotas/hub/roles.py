"""Scopes for the Hub's default roles, whether an admin redefined them or not."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from .types import HubApp


def give_users(app: HubApp, *scopes: str) -> None:
    """Give all users of a Hub these scopes, and so what they log in to with their sessions."""
    redefined = any(role.get("name") == "user" and "scopes" in role for role in app.load_roles)
    if hasattr(app, "extra_user_scopes") and not redefined:
        # JupyterHub 6: nobody has to repeat what users may do otherwise.
        app.extra_user_scopes = with_scopes(app.extra_user_scopes, *scopes)
    else:
        _extend(app, "user", scopes)


def give_servers(app: HubApp, *scopes: str) -> None:
    """Give the tokens of servers these scopes, as far as the servers' users have them."""
    _extend(app, "server", scopes)


def with_scopes(scopes: Sequence[str], *more: str) -> list[str]:
    """These scopes, and more of them, each once."""
    return [*scopes, *(scope for scope in more if scope not in scopes)]


def _extend(app: HubApp, name: str, more: Sequence[str]) -> None:
    """Give a default role more scopes, whether the admin redefined it or not."""
    roles: list[dict[str, Any]] = [copy.copy(dict(role)) for role in app.load_roles]
    role = next((one for one in roles if one.get("name") == name), None)
    if role is None:
        role = {"name": name}
        roles.append(role)
    role["scopes"] = with_scopes(role.get("scopes", _default_scopes(name)), *more)
    app.load_roles = roles


def _default_scopes(name: str) -> list[str]:
    from jupyterhub.roles import get_default_roles  # noqa: PLC0415 needs the Hub's database models

    found = next(role for role in get_default_roles() if role["name"] == name)
    return list(found["scopes"])
