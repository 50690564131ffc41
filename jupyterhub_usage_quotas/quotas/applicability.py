"""Why a policy applies to a subject, and why another one does not: `resolve`, explained."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .policy.policy import Policy, PolicySet
from .policy.scope import Names, Scope
from .resolve import Allotment
from .subject import Subject


class CoveredBy(enum.StrEnum):
    """By what a policy covers a subject."""

    USER = "user"
    GROUP = "group"
    ADMIN = "admin"
    EVERYONE = "everyone"
    ASSIGNED = "assigned"
    FALLBACK = "fallback"
    """It is one of `scope_backup_strategy.empty`, and no other policy covers the subject."""


@dataclass(frozen=True, slots=True)
class Applicability:
    """Whether a policy sets a limit of a subject, and why, in words.

    `by` is what its scope covers the subject by, None where it does not.
    """

    policy: str
    applies: bool
    by: CoveredBy | None
    why: str

    def __str__(self) -> str:
        return f"{self.policy} {'applies' if self.applies else 'does not apply'}: {self.why}"


def applicability(
    policies: PolicySet, subject: Subject, allotments: Sequence[Allotment]
) -> tuple[Applicability, ...]:
    """Every policy's, in the order in which they are written; the `allotments` are what was
    resolved for the subject.
    """
    return tuple(_each(policies, subject, allotments))


def _each(
    policies: PolicySet, subject: Subject, allotments: Sequence[Allotment]
) -> Iterator[Applicability]:
    resolved = {one.name for each in allotments for one in each.candidates}
    covering = [
        one.name
        for one in policies.policies
        if one.scope.covers(subject) or (one.scope.assigned and one.name in resolved)
    ]
    for policy in policies.policies:
        by, how = _covered(policy, subject)
        if by is None and policy.name in covering:
            by, how = CoveredBy.ASSIGNED, "it is assigned to the user when they log in"
        yield _of_one(policy, subject, by, how, allotments)
    for policy in policies.empty:
        if covering:
            why = f"it is for users whom no policy covers; covered by {', '.join(covering)}"
            yield Applicability(policy.name, applies=False, by=None, why=why)
        else:
            how = "no policy covers the user (scope_backup_strategy.empty)"
            yield _of_one(policy, subject, CoveredBy.FALLBACK, how, allotments)


def _of_one(
    policy: Policy,
    subject: Subject,
    by: CoveredBy | None,
    how: str,
    allotments: Sequence[Allotment],
) -> Applicability:
    if by is None:
        return Applicability(policy.name, applies=False, by=None, why=how)
    if why := _exempt(policy, subject):
        return Applicability(policy.name, applies=False, by=by, why=why)
    mine = next((one for one in allotments if policy.combination == _combination(one)), None)
    if mine is not None and policy.name not in {one.name for one in mine.policies}:
        deciding = mine.name
        if policy.name in {one.name for one in mine.candidates}:
            why = f"{deciding} decides (intersection = {mine.intersection.value}); {how}"
        else:
            why = f"{deciding} names the user, which takes precedence; {how}"
        return Applicability(policy.name, applies=False, by=by, why=why)
    return Applicability(policy.name, applies=True, by=by, why=how)


def _combination(allotment: Allotment) -> tuple[object, ...]:
    return allotment.policies[0].combination


def _covered(policy: Policy, subject: Subject) -> tuple[CoveredBy | None, str]:
    """By what a policy's scope covers a subject, and how, in words."""
    scope = policy.scope
    if scope.user.has(subject.name):
        return CoveredBy.USER, f"it names the user{_pattern_of(scope.user, subject.name)}"
    if theirs := sorted(name for name in subject.groups if scope.group.has(name)):
        return (
            CoveredBy.GROUP,
            f"the user is in {_groups(theirs)}{_pattern_of(scope.group, *theirs)}",
        )
    if scope.admin and subject.admin:
        return CoveredBy.ADMIN, "the user is an admin"
    if scope.everyone:
        return CoveredBy.EVERYONE, "it covers everyone"
    return None, _covers_others(scope)


def _covers_others(scope: Scope) -> str:
    """Whom a scope covers, in words, where a subject is not among them."""
    kinds = ((scope.user, "user"), (scope.group, "group"))
    covered = [f"the {_kind(kind, names)} {names}" for names, kind in kinds if names]
    named = " and ".join([*covered, *["admins"] * scope.admin])
    if scope.assigned and not covered:
        return "it is assigned when users log in, and not to this one"
    if scope.user or scope.admin:
        return f"it covers only {named}"
    them = "not in it" if _is_one(scope.group) else "in none of them"
    return f"it covers {named}, and the user is {them}"


def _kind(kind: str, names: Names) -> str:
    return kind if _is_one(names) else f"{kind}s"


def _is_one(names: Names) -> bool:
    """Whether it is one name; a pattern can be of several."""
    return len(names.exact) == 1 and not names.globs


def _exempt(policy: Policy, subject: Subject) -> str:
    """Why a policy does not limit a subject that its scope covers; empty where it does."""
    exempt = policy.exempt
    if exempt.user.has(subject.name):
        return f"it exempts the user{_pattern_of(exempt.user, subject.name)}"
    if theirs := sorted(name for name in subject.groups if exempt.group.has(name)):
        return f"it exempts {_groups(theirs)}{_pattern_of(exempt.group, *theirs)}"
    return "it exempts admins" if exempt.exempts(subject) else ""


def _groups(names: Sequence[str]) -> str:
    return f"the group{'s' * (len(names) > 1)} {', '.join(names)}"


def _pattern_of(names: Names, *found: str) -> str:
    """The patterns because of which names are among these, where none is written out."""
    if any(name in names.exact for name in found):
        return ""
    globs = [glob for glob in names.globs if Names(globs=(glob,)).have_any(found)]
    return f" (by the pattern {', '.join(globs)})"
