"""Limits and scopes of policies that are functions of the user: `Union([value, Callable])`.

A policy with one covers the users whom the Hub assigned to it: it calls the functions when a user
logs in and starts a server, and what they gave is remembered. So every other process, which cannot
have the functions, reads the same policies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from traitlets import TraitError, validate
from traitlets.config import LoggingConfigurable

from ..quotas.messages import wrong
from ..quotas.resources import RESOURCES

ASSIGNED: Final = {"assigned": True}
POOLED: Final = "pooled"


@dataclass(frozen=True, slots=True)
class PolicyFunctions:
    """What is a function in a policy, and what its scope is as written, where that is none: each is
    called with a `Subject`, and may be a coroutine.
    """

    limit: Callable[..., Any] | None
    scope: Callable[..., Any] | None
    written_scope: object = None


def without_functions(written: list[Any]) -> tuple[list[Any], dict[str, PolicyFunctions]]:
    """The same policies without functions, and the functions by the name of their policy. Raises
    `TraitError`.
    """
    plain, functions = list(written), dict[str, PolicyFunctions]()
    for index, entry in enumerate(written):
        if not isinstance(entry, Mapping):
            continue
        limit, scope = entry.get("limit"), entry.get("scope")
        if not callable(limit) and not callable(scope):
            continue
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip() or name.strip() in functions:
            expected = "a name of its own, since what the function gives is kept by it"
            raise TraitError(wrong(f"policy[{index}] has a function, and as name", name, expected))
        if callable(limit) and entry.get("share") == POOLED:
            raise TraitError(
                f"policy[{index}].limit: one allowance for all its members cannot be a function of"
                " a user"
            )
        functions[name.strip()] = PolicyFunctions(
            limit if callable(limit) else None,
            scope if callable(scope) else None,
            None if callable(scope) else scope,
        )
        plain[index] = {**entry, "scope": ASSIGNED}
        if callable(limit):
            plain[index]["limit"] = _instead(entry.get("resource"))
    return plain, functions


def _instead(resource: object) -> object:
    """A limit that counts for nobody: who is assigned has one of their own."""
    known = RESOURCES.get(resource) if isinstance(resource, str) else None
    return known.example if known else "1"


class FunctionOptions(LoggingConfigurable):
    """The part of the options that keeps functions apart."""

    policy_functions: Mapping[str, PolicyFunctions] = {}
    """By the name of a policy."""

    @validate("policy")
    def _without_functions(self, proposal: Any) -> Any:
        if not isinstance(proposal.value, list | tuple):
            return proposal.value
        plain, self.policy_functions = without_functions(list(proposal.value))
        return plain if self.policy_functions else proposal.value
