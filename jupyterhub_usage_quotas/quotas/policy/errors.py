"""Mistakes in a configuration, found all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyError:
    """One mistake in a configuration: where it is, what is wrong, and what would be right."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class InvalidPolicies(ValueError):
    """The configuration of the policies has errors; `errors` holds all of them."""

    def __init__(self, errors: Sequence[PolicyError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)
