"""Which of a user's credits pay for a server: the first whose `user_options` are what the user
chose. The server is marked with their name, as if they were chosen in its profile, so that the
policy about them selects it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ...config.credits.entries import Entry
from ...config.credits.options import MARK, Account, Credits, mark_of
from ...quotas.policy.selector import CHOSEN
from ...quotas.verdict import Request
from ..launch.prices import NobodyPays, PriceUnknown, may_cost

PREFIX: Final = f"{MARK}{CHOSEN}"


@dataclass(frozen=True, slots=True)
class Paying:
    """Marks requests. `entries_of` gives what a function said of a user, None where it said
    nothing since the Hub started; without one everybody has what is configured.
    """

    credits: Credits
    entries_of: Callable[[str], Sequence[Entry] | None] | None = None

    def __call__(self, request: Request, options: Mapping[str, Any]) -> Request:
        """The request of a server for which its user chose these options. Raises `NobodyPays`, and
        `PriceUnknown` where it is not known what the user has.
        """
        choices = tuple(one for one in request.choices if not one.startswith(PREFIX))
        plain = replace(request, choices=choices)
        entry = next((one for one in self._entries(request) if one.pays_for(options)), None)
        if entry is not None:
            mark = (mark_of(entry.name),) if self.credits.several else ()
            return replace(plain, choices=(*mark, *choices))
        if may_cost(request):
            raise NobodyPays("the user has no credits that pay for what is chosen")
        return plain

    def _entries(self, request: Request) -> Sequence[Entry]:
        if self.entries_of is None:
            return [one.entry for one in self.credits.accounts]
        if (found := self.entries_of(request.subject.name)) is not None:
            return found
        if self.credits.several:
            raise PriceUnknown("which credits pay is known once the user has logged in again")
        return [one.entry for one in self.credits.accounts]


def account_of(choices: Sequence[str], credits_: Credits) -> Account | None:
    """The account that pays for a server, by its marks; None where that is not known."""
    if not credits_.several:
        return credits_.accounts[0]
    marked = (one.removeprefix(PREFIX) for one in choices if one.startswith(PREFIX))
    return next(filter(None, map(credits_.account, marked)), None)
