"""Validation of what is written into a ledger: the same for every ledger."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from ..errors import InvalidAdjustment
from ..quotas.adjustments import Adjustment, Exemption, Grant, Override, Voided
from ..quotas.messages import Verbatim, one_of, shown, wrong
from ..quotas.policy.policy import PolicySet
from ..quotas.units import LONGEST_DURATION

SHORTEST_REASON = 3
LONGEST_REASON = 1000
LONGEST_NAME = 255
LONGEST_KEY = 200
"""In characters."""
LARGEST = 1e30
"""The largest amount, in base units."""
DECIMALS = 6
"""Of amounts in base units; what is beyond is rounded off."""
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def checked(draft: Adjustment) -> Adjustment:
    """The draft as it is written: texts without space around them, instants in UTC, amounts
    rounded to `DECIMALS`.

    Raises `InvalidAdjustment` with everything that is wrong with it.
    """
    errors = list(_errors(draft))
    if errors:
        raise InvalidAdjustment(errors)
    made = replace(
        draft,
        policy=draft.policy.strip(),
        reason=draft.reason.strip(),
        start=draft.start.astimezone(UTC),
        until=draft.until.astimezone(UTC),
        user_created=draft.user_created.astimezone(UTC) if draft.user_created else None,
    )
    match made:
        case Grant():
            return replace(made, amount=round(float(made.amount), DECIMALS))
        case Override():
            return replace(made, limit=round(float(made.limit), DECIMALS))
        case _:
            return made


def checked_voiding(actor: str, reason: str, at: datetime) -> Voided:
    """Who voids an adjustment, and why, as it is written. Raises `InvalidAdjustment`."""
    errors = [*_errors_of_text("actor", actor, LONGEST_NAME), *_errors_of_reason(reason)]
    if errors:
        raise InvalidAdjustment(errors)
    return Voided(actor, at, reason.strip())


def checked_key(key: str) -> str:
    """An idempotency key; empty where there is none. Raises `InvalidAdjustment`."""
    errors = list(_errors_of_text("key", key, LONGEST_KEY)) if key else []
    if errors:
        raise InvalidAdjustment(errors)
    return key


def can_be_kept(name: str) -> bool:
    """Whether a ledger can have a user of this name."""
    return not list(_errors_of_text("user", name, LONGEST_NAME))


def another_request(key: str) -> str:
    """What a request is answered whose key was used before."""
    return f"the key {key!r} belongs to another request; use a new one"


def unknown_adjustment(number: int) -> str:
    """What a voiding of an adjustment that is not there is answered."""
    return f"there is no adjustment {number}"


def voided_before(number: int, voided: Voided) -> str:
    """What a voiding is answered after another."""
    at = f"{voided.at:%Y-%m-%d %H:%M} UTC"
    return f"adjustment {number} was voided before, by {voided.actor} at {at}"


def errors_with_policies(draft: Adjustment, policies: PolicySet) -> Iterator[str]:
    """A line for everything because of which a draft would have no effect on these policies, or
    might lose it.

    Adjustments are kept by the name of their policy. A policy without a `name` of its own is shown
    by one that is made of its entry, and changes with it: its adjustments would be lost unnoticed,
    or become those of another policy. So it has none until it is named.
    """
    names = {policy.name: policy for policy in policies}
    policy = names.get(draft.policy)
    if policy is None:
        own = [name for name in names if name not in policies.default_names]
        expected = one_of(own) if own else "a policy with a name of its own, and there is none"
        yield wrong("unknown policy", draft.policy, expected)
        return
    if draft.policy in policies.default_names:
        yield (
            f"policy {draft.policy!r} has no name of its own: the one shown is made of its entry,"
            " and adjustments would be lost when that changes. Give it one in the configuration,"
            ' for example "name": "memory-week"'
        )
    if policy.pooled and draft.user is not None:
        why = (
            f"policy {shown(draft.policy)} is one allowance for all its members (share: pooled), so"
            " it cannot be adjusted for one of them"
        )
        yield wrong(why, draft.user, "no user")


def _errors(draft: Adjustment) -> Iterator[str]:
    if not isinstance(draft, Grant | Override | Exemption):
        kind = Verbatim(type(draft).__name__)
        yield wrong(got=kind, expected="a Grant, an Override or an Exemption")
    if draft.id or draft.created or draft.voided:
        yield "id, created and voided are set by the ledger; leave them out"
    yield from _errors_of_text("policy", draft.policy, LONGEST_NAME)
    yield from _errors_of_text("actor", draft.actor, LONGEST_NAME)
    yield from _errors_of_reason(draft.reason)
    if draft.user is not None:
        yield from _errors_of_text("user", draft.user, LONGEST_NAME)
    elif draft.user_created is not None:
        yield "user_created is set without a user"
    yield from _errors_of_times(draft)
    yield from _errors_of_amount(draft)


def _errors_of_times(draft: Adjustment) -> Iterator[str]:
    given = {"start": draft.start, "until": draft.until, "user_created": draft.user_created}
    naive = [name for name, instant in given.items() if instant and instant.tzinfo is None]
    if naive:
        yield f"{' and '.join(naive)} must have a time zone"
        return
    if not EARLIEST <= draft.start < LATEST or not EARLIEST <= draft.until < LATEST:
        years = f"instants in the years {EARLIEST.year} to {LATEST.year}"
        yield wrong("start and until", _times(draft), years)
    elif not draft.start < draft.until:
        yield wrong("start and until", _times(draft), "until to be later than start")
    elif draft.until - draft.start > LONGEST_DURATION:
        yield wrong("start and until", _times(draft), f"at most {LONGEST_DURATION.days} days")


def _times(draft: Adjustment) -> Verbatim:
    return Verbatim(f"{draft.start} to {draft.until}")


def _errors_of_amount(draft: Adjustment) -> Iterator[str]:
    match draft:
        case Grant(amount=amount) if not (0 < round(amount, DECIMALS) <= LARGEST):
            yield wrong("amount of a grant", amount, f"above 0, and at most {LARGEST:g}")
        case Override(limit=limit) if not 0 <= limit <= LARGEST:
            yield wrong("limit of an override", limit, f"at least 0, and at most {LARGEST:g}")


def _errors_of_reason(reason: str) -> Iterator[str]:
    if len(reason.strip()) < SHORTEST_REASON:
        yield wrong("a reason is required", reason, f"{SHORTEST_REASON} characters or more")
    else:
        yield from _errors_of_text("reason", reason, LONGEST_REASON, allowed="\n\r\t")


def _errors_of_text(name: str, text: str, longest: int, allowed: str = "") -> Iterator[str]:
    """Names are kept as they are, whatever script they are in; only what cannot be stored, or
    changes how a line in a log looks, is refused.
    """
    if not text.strip():
        yield f"{name} must not be empty"
    elif len(text) > longest:
        yield wrong(name, Verbatim(f"{len(text)} characters"), f"at most {longest} characters")
    elif any(unicodedata.category(one) in ("Cc", "Cs") and one not in allowed for one in text):
        yield wrong(name, text, "a text without control characters")
