"""All rows of a snapshot at once."""

from __future__ import annotations

from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from jupyterhub_usage_quotas.status.standings import Rows


def rows_of(snapshot: StatusSnapshot) -> Rows:
    """Those of users, and then those of pools."""
    return (*(row for one in snapshot.standings for row in one.rows), *snapshot.pool_rows)
