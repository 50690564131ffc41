"""The options about who may give users more, and how much."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from traitlets import HasTraits, TraitError, default, validate

from ..ledger.granting import Limits
from ..quotas.messages import not_among, shown, wrong
from ..quotas.policy.policy import PolicySet
from ..quotas.policy.scope import Names, Scope
from ..quotas.units import InvalidQuantity
from .traits import Anything

A_LIMIT = 'an amount in a unit of the policy, for example "2 GiB-hours", or None for no limit'


def _groups(names: object) -> Names:
    """Groups, written as in the scope of a policy."""
    return Scope.model_validate({"group": names}).group


class GrantingOptions(HasTraits):
    """The part of `UsageQuotaManager` about who may give users more, and how much."""

    may_grant = Anything(
        help="""
        Which groups may give more to the members of which: members of a group that is a key see the
        usage of the members of the groups in its list, and may give them grants, on the dashboard.
        {"lecturers": ["course-1", {"glob": "lab-*"}]}. Tokens need the scope
        `custom:usage-quotas:grant` instead, which roles of JupyterHub give.
        """
    ).tag(config=True)

    grant_limits = Anything(
        help="""
        How much more a user can be given within a week by those who are no admins, all together, by
        the name of the policy: {"memory-week": "20 GiB-hours"}. None is no limit. A policy that is
        not named can be given as much more as its own limit.
        """
    ).tag(config=True)

    @default("may_grant")
    def _may_grant_default(self) -> dict[str, Any]:
        return {}

    @default("grant_limits")
    def _grant_limits_default(self) -> dict[str, Any]:
        return {}

    @validate("may_grant")
    def _are_groups_by_group(self, proposal: Any) -> dict[str, Any]:
        given = proposal.value
        if not isinstance(given, Mapping):
            expected = 'groups by the name of a group, for example {"lecturers": ["course-1"]}'
            raise TraitError(wrong(got=given, expected=expected))
        for group, names in given.items():
            if not isinstance(group, str) or not group:
                raise TraitError(wrong("must be the name of a group", group))
            try:
                _groups(names)
            except ValidationError as error:
                why = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
                raise TraitError(f"{shown(group)}: {why}") from None
        return dict(given)

    @validate("grant_limits")
    def _are_amounts_by_policy(self, proposal: Any) -> dict[str, Any]:
        given = proposal.value
        if not isinstance(given, Mapping):
            expected = 'amounts by policy, for example {"memory-week": "20 GiB-hours"}'
            raise TraitError(wrong(got=given, expected=expected))
        for policy, amount in given.items():
            if not isinstance(policy, str):
                raise TraitError(wrong("must be the name of a policy", policy))
            if amount is not None and not isinstance(amount, str):
                raise TraitError(wrong(shown(policy), amount, A_LIMIT))
        return dict(given)

    @property
    def granters(self) -> Mapping[str, Names]:
        """By the name of a group, those to whose members its members may give more."""
        return {group: _groups(names) for group, names in self.may_grant.items()}

    def limits_of_granting(self, policies: PolicySet) -> Limits:
        """How much more of each policy can be given in a week, in base units, by its name."""
        limits = {}
        for policy in policies:
            limit = policy.limit.base
            # That of an exported limit is not known here.
            limits[policy.name] = limit if math.isfinite(limit) else 0.0
            if policy.name in self.grant_limits:
                written = self.grant_limits[policy.name]
                of = policies.resources[policy.resource]
                limits[policy.name] = math.inf if written is None else of.quantity(written).base
        return limits

    def errors_in_granting(self, policies: PolicySet) -> Iterator[str]:
        """A line for everything that is wrong with `grant_limits` by these policies."""
        named: Collection[str] = {one.name for one in policies} - policies.default_names
        by_name = {one.name: one for one in policies}
        for name, written in self.grant_limits.items():
            if name not in named:
                if name in by_name:
                    yield f"{shown(name)}: this policy has no name of its own; give it one"
                else:
                    yield not_among("unknown policy", name, named)
            elif written is not None:
                try:
                    amount = policies.resources[by_name[name].resource].quantity(written)
                except InvalidQuantity as error:
                    yield f"{shown(name)}: {error}"
                else:
                    if amount.base < 0:
                        yield wrong(shown(name), written, "0 or more")
