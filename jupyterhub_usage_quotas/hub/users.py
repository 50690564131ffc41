"""The users of a Hub, as it has them in memory."""

from __future__ import annotations

from .types import HubApp, HubUser


def users_of(app: HubApp) -> list[HubUser]:
    """A Hub's users in memory, among them all with running servers; none while it starts.

    The Hub makes its dictionary of users a moment after it has read its configuration. Made before,
    by being looked at, it would have none of the Hub's settings, and no server could start.
    """
    return list(app.users.values()) if app.trait_has_value("users") else []
