"""What people decided: grants, overrides and exemptions.

What lives here: the seam through which decisions ask for them. What must not: rules; what an
adjustment makes of a limit is in `quotas/adjustments.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from ..quotas.adjustments import Adjustment


class Ledger(Protocol):
    """Keeps adjustments."""

    async def adjustments(self, user: str, policies: Collection[str]) -> Sequence[Adjustment]:
        """All adjustments of these policies (by name) that are for this user or for all, past and
        future ones included.
        """
        ...
