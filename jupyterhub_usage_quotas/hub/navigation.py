"""The services in the Hub's menu, for the pages of the viewer: who may open which, as configured.

The Hub works its own menu out for each visitor, from scopes that it gives to no service. So what
roles say in its configuration is handed over; roles that are only in its database are not in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jupyterhub.utils import url_path_join

from ..conventions import VIEWER_SERVICE
from .types import HubApp


def services_menu(app: HubApp) -> list[dict[str, Any]]:
    """The links: each with its `name` and `href`, and `everyone`, or the `users` and `groups` that
    may open it beside admins. Empty where services have domains of their own.
    """
    if app.subdomain_host:
        return []
    shown = [one for one in app.services if one.get("url") and one.get("display", True)]
    return [
        {
            "name": str(one["name"]),
            "href": url_path_join(app.base_url, "services", str(one["name"]), "/"),
            **_may_open(app, str(one["name"])),
        }
        for one in shown
    ]


def _may_open(app: HubApp, service: str) -> dict[str, Any]:
    users: set[str] = set()
    groups: set[str] = set()
    everyone = service == VIEWER_SERVICE  # whose own visitors are asked
    for role in _roles(app):
        if not _opens(role.get("scopes") or (), service):
            continue
        everyone = everyone or role["name"] == "user"
        users.update(role.get("users") or ())
        groups.update(role.get("groups") or ())
    return {"everyone": everyone, "users": sorted(users), "groups": sorted(groups)}


def _roles(app: HubApp) -> Iterator[Mapping[str, Any]]:
    yield from app.load_roles
    # JupyterHub 6
    yield {"name": "user", "scopes": getattr(app, "extra_user_scopes", ())}


def _opens(scopes: Collection[str], service: str) -> bool:
    return not {"access:services", f"access:services!service={service}"}.isdisjoint(scopes)
