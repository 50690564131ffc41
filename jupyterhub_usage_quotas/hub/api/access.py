"""Scopes for the Hub's endpoints: everybody's, and those of each server's own token."""

from __future__ import annotations

from ...conventions import SCOPE_READ, SCOPE_SWITCH
from ..roles import give_servers, give_users
from ..types import HubApp

SCOPES = {
    SCOPE_READ: {"description": "See usage and usage quotas."},
    SCOPE_SWITCH: {"description": "Start a server again with another profile."},
}


def give_scopes(app: HubApp) -> None:
    """Let users, and their servers' tokens, see the users' own usage; and let a server's token have
    that server started again with another profile. What an admin declared stays.
    """
    app.custom_scopes = SCOPES | dict(app.custom_scopes)
    give_users(app, f"{SCOPE_READ}!user", f"{SCOPE_SWITCH}!user")
    give_servers(app, f"{SCOPE_READ}!user", f"{SCOPE_SWITCH}!server")
