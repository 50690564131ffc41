"""Scopes for the Hub's endpoints: everybody's, and those of each server's own token."""

from __future__ import annotations

from typing import Final

from ...conventions import SCOPE_READ, SCOPE_SWITCH
from ..roles import give_servers, give_users
from ..types import HubApp

SCOPES = {
    SCOPE_READ: {"description": "See usage and usage quotas."},
    SCOPE_SWITCH: {"description": "Start a server again with another profile."},
}


SERVICE: Final = "usage-quotas-switches"
"""The service as which the Hub starts servers again, and its role."""
SCOPES_OF_SERVICE: Final = ("servers", "read:users:name")


def give_scopes(app: HubApp) -> None:
    """Let users, and their servers' tokens, see the users' own usage; and let a server's token have
    that server started again with another profile. What an admin declared stays.
    """
    app.custom_scopes = SCOPES | dict(app.custom_scopes)
    give_users(app, f"{SCOPE_READ}!user", f"{SCOPE_SWITCH}!user")
    give_servers(app, f"{SCOPE_READ}!user", f"{SCOPE_SWITCH}!server")


def declare_service(app: HubApp) -> None:
    """Declare the service and its role, unless the admin did."""
    if not any(one.get("name") == SERVICE for one in app.services):
        app.services = [*app.services, {"name": SERVICE, "display": False}]
    if not any(role.get("name") == SERVICE for role in app.load_roles):
        role = {
            "name": SERVICE,
            "description": "Start servers again with the profile that their user chose",
            "scopes": list(SCOPES_OF_SERVICE),
            "services": [SERVICE],
        }
        app.load_roles = [*app.load_roles, role]
