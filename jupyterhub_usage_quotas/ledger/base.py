"""The ports of the ledger: `Ledger` for reading, `Journal` for writing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

from ..quotas.adjustments import Adjustment, Adjustments
from ..quotas.subject import Everyone, Subject

Held = Callable[[], Sequence[Adjustment]]
"""Reads all adjustments of some users that are not voided, past ones included: there may be
thousands, so they are read only where somebody looks at them.
"""
Check = Callable[[Held], None]
"""Looks at what is held, if it wants to, and raises `AdjustmentRefused` where there must be no
more. It may run in another thread.
"""

PAGE: Final = 100
"""Adjustments of a history that come at once, unless it is said how many."""


def no_check(_held: Held) -> None:
    """Refuse nothing."""


class Ledger(Protocol):
    """Reads adjustments, for decisions and for pages.

    It is called once for any number of users. The Hub calls it during launches and page loads, so
    it answers from memory; a ledger with a store elsewhere loads adjustments beforehand.
    """

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:
        """The adjustments in force at `at` or later that are not voided: those of these subjects
        (of all users for `EVERYONE`), and those for everyone.

        Adjustments of other users may be among them: filter the answer with `Adjustments.of`. Later
        ones are part of it, since retry times depend on them. In the order of their ids.

        A user who was renamed keeps theirs: the Hub writes them anew for the new name.
        """
        ...

    async def aclose(self) -> None:
        """Release what it holds: connections, threads."""
        ...


class Journal(Ledger, Protocol):
    """A ledger that can be written. Nothing in it is ever changed, and voiding only adds to it.

    What a method returned is kept, whatever happens next. Each raises `LedgerUnavailable` where it
    could not write; nothing was written then, or it is not known whether. A caller that gives a
    `key` (any text, up to 200 characters) can repeat the request, which is carried out once and
    answered the same. Another request with the same key raises `KeyReused`.
    """

    async def record(
        self, drafts: Sequence[Adjustment], *, key: str = "", check: Check = no_check
    ) -> Sequence[Adjustment]:
        """Write adjustments, all or none, and return them with `id` and `created`.

        `drafts` have neither. `check` can read the journal's adjustments of these users (of
        everyone, for drafts without a user) right before, and nothing is written in between. Raises
        `InvalidAdjustment` for drafts that break `entries.checked`.
        """
        ...

    async def void(
        self, number: int, *, actor: str, reason: str, key: str = "", check: Check = no_check
    ) -> Adjustment:
        """Void the adjustment with this id, and return it so. `check` can read it right
        before.

        Raises `UnknownAdjustment`, `AlreadyVoided` or `InvalidAdjustment`.
        """
        ...

    async def history(
        self,
        subjects: Collection[Subject] | Everyone,
        *,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Sequence[Adjustment]:
        """The decisions about these subjects (for `EVERYONE`: all decisions), the newest first,
        voided and past ones included: at most `limit` with ids below `before`.
        """
        ...


class _NoLedger:
    """The ledger of a deployment without one: it has no adjustments."""

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:  # noqa: ARG002 the port's
        return Adjustments()

    async def aclose(self) -> None:
        pass

    def __repr__(self) -> str:
        return "NO_LEDGER"


NO_LEDGER: Final[Ledger] = _NoLedger()
