"""A ledger in memory: for tests, and for who embeds the package. It ends with its process."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from ..quotas.adjustments import Adjustment, Adjustments, group_by_user
from ..quotas.subject import EVERYONE, Everyone, Subject


class MemoryLedger:
    """Keeps adjustments for as long as it is kept itself."""

    def __init__(self, adjustments: Iterable[Adjustment] = ()) -> None:
        self._adjustments = list(adjustments)

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:
        """See `Ledger`."""
        names = None if subjects == EVERYONE else {one.name for one in subjects}
        return group_by_user(
            one
            for one in self._adjustments
            if one.voided is None
            and one.until > at
            and (names is None or one.user is None or one.user in names)
        )

    async def aclose(self) -> None:
        """See `Ledger`."""
