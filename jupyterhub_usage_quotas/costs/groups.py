"""Costs of groups: a user of several groups counts once, in one of them or in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from .money import split
from .values import Allocation, Kind

Groups = Mapping[tuple[str, str], tuple[str, ...]]
"""The groups of each user, by hub and username."""


@dataclass(frozen=True, slots=True)
class Memberships:
    """Which groups users are in, and in which they count.

    A user counts in the first of the `primary` groups that they are in; if in none of them, in
    equal parts in all of their groups, or by the `weights` of these (1 unless given).
    """

    groups: Groups = field(default_factory=lambda: MappingProxyType({}))
    primary: Sequence[str] = ()
    weights: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def shares(self, hub: str | None, user: str) -> Mapping[str, int]:
        """The groups in which a user counts, and how much in each; none for a user of no group."""
        theirs = self.groups.get((hub or "", user), ())
        for name in self.primary:
            if name in theirs:
                return {name: 1}
        weighed = {name: max(self.weights.get(name, 1), 0) for name in sorted(set(theirs))}
        return weighed if any(weighed.values()) else dict.fromkeys(weighed, 1)


def in_groups(allocations: Iterable[Allocation], memberships: Memberships) -> Iterator[Allocation]:
    """The same allocations, those of users by group; the group is empty for users of none."""
    for one in allocations:
        shares = memberships.shares(one.hub, one.user) if one.kind is Kind.USER else {}
        if not shares:
            yield one
            continue
        for group, part in zip(shares, split(one.amount, list(shares.values())), strict=True):
            if shares[group]:
                yield replace(one, group=group, amount=part)
