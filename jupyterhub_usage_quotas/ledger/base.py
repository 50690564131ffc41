"""The ports of the ledger: `Ledger` is read for decisions, `Journal` is written by people."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, Protocol

from ..quotas.adjustments import Adjustments
from ..quotas.subject import Everyone, Subject


class Ledger(Protocol):
    """Reads adjustments, for decisions and for pages.

    It is asked once for however many users. In the Hub it is asked during launches and page loads,
    so it answers from memory; what keeps adjustments elsewhere brings them there beforehand.
    """

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:
        """The adjustments in force at `at` or later that are not voided: those of these subjects
        (of all users for `EVERYONE`), and those for everyone.

        Adjustments of other users may be among them: ask the answer, by `Adjustments.of`. Later
        ones are part of it, since retry times depend on them. In the order of their ids.
        """
        ...

    async def aclose(self) -> None:
        """Give back what it holds: connections, threads."""
        ...


class _NoLedger:
    """The ledger of a deployment that keeps none: nobody decided anything."""

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:  # noqa: ARG002 the port's
        return Adjustments()

    async def aclose(self) -> None:
        pass

    def __repr__(self) -> str:
        return "NO_LEDGER"


NO_LEDGER: Final[Ledger] = _NoLedger()
