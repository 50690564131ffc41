"""Whether a server that the Hub does not show runs all the same: while the Hub starts, it has not
looked at all servers yet.
"""

from __future__ import annotations

from datetime import UTC, timedelta

from ...quotas.notices import WatchedServer
from ..types import HubApp

SAME = timedelta(seconds=1)


def is_still_there(app: HubApp, server: WatchedServer) -> bool:
    """Whether the Hub's database says that a server, started then, runs."""
    from jupyterhub import orm  # noqa: PLC0415 the Hub's database models

    found = (
        app.db.query(orm.Spawner)
        .join(orm.User, orm.Spawner.user_id == orm.User.id)
        .filter(orm.User.name == server.user, orm.Spawner.name == server.server)
        .first()
    )
    if found is None or found.server_id is None or found.started is None:
        return False
    return bool(abs(found.started.replace(tzinfo=UTC) - server.started) < SAME)
