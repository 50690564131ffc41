"""The form by which somebody gives more: of which quotas it can be, and what was typed into it.

It becomes the body of a request of the API. What is wrong with it is said beside its fields, in the
language of the page; the API's own checks follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from .....errors import AlreadyVoided, KeyReused, LedgerUnavailable, TooMuchGiven, UsageQuotasError
from .....ledger.entries import LONGEST_REASON, SHORTEST_REASON
from .....quotas.policy.policy import Policy, PolicySet
from .....quotas.resolve import resolve
from .....quotas.subject import Subject
from .....quotas.units import LONGEST_DURATION
from .....status.language import Language
from .....status.text import Severity, VerdictText
from .....status.users import UserStatus
from ....web.params import NUMBER, BadParameter, Refused, bad_parameter
from ...api.bodies import NewAdjustments
from ..intervals import zone_of

LASTING = (1, 2, 3, 7, 14, 30)
"""For how many days somebody can select to give more; another end is typed."""
USUALLY = "7d"
PERIOD = "period"
"""Until the quota begins anew by the calendar: then all have what they usually have."""
UNTIL_FORM = "%Y-%m-%dT%H:%M"
"""How a browser's field for a date and a time has its value."""
DECIMALS = 6
WORST_FIRST = (Severity.EXHAUSTED, Severity.LOW, Severity.UNKNOWN, Severity.OK)


@dataclass(frozen=True, slots=True)
class Offer:
    """A quota of which more can be given; `anew` is when it begins anew, if it does by a calendar.
    `remaining` is empty, and `severity` None, where the visitor does not see it, or several users
    have different ones.
    """

    policy: str
    title: str
    window: str
    unit: str
    symbol: str
    anew: datetime | None
    remaining: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed into the form, as it was typed; `zone` is that in which `until` is meant."""

    policy: str = ""
    amount: str = ""
    lasts: str = ""
    until: str = ""
    zone: str = ""
    reason: str = ""
    key: str = ""

    @classmethod
    def of(cls, argument: Callable[[str], str]) -> Typed:
        """It, from the fields of a request."""
        made = {name: argument(name) for name in cls.__slots__}
        # Browsers end lines as HTTP does.
        reason = made["reason"].replace("\r\n", "\n")
        return cls(**made | {"reason": reason, "zone": zone_of(made["zone"]).key})


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, beside the field of this name, or above the form without one. `english` where
    it is a text that is in no catalogue.
    """

    field: str
    text: str
    english: bool = False


class Mistyped(UsageQuotasError):
    """What was typed cannot be written."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(one.text for one in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Form:
    """The form as a page shows it; `lasting` are the choices of how long, with their texts."""

    typed: Typed
    offers: tuple[Offer, ...]
    lasting: tuple[tuple[str, str], ...]
    earliest: str
    faults: Mapping[str, Fault] = field(default_factory=dict)


def make_form(
    typed: Typed,
    offers: Sequence[Offer],
    faults: Sequence[Fault],
    now: datetime,
    zone: ZoneInfo,
    language: Language,
) -> Form:
    """The form with what was typed, and with what is wrong with it."""
    lasting = _lasting(offers, language)
    if not typed.policy and len(offers) == 1:
        typed = replace(typed, policy=offers[0].policy)
    if not typed.lasts:
        typed = replace(typed, lasts=PERIOD if lasting[0][0] == PERIOD else USUALLY)
    earliest = now.astimezone(zone).strftime(UNTIL_FORM)
    return Form(typed, tuple(offers), lasting, earliest, {one.field: one for one in faults})


def _lasting(offers: Sequence[Offer], language: Language) -> tuple[tuple[str, str], ...]:
    """For how long, with texts. What is given for a week of the calendar is usually for that week
    alone: for seven days it would be for two of them.
    """
    days = tuple(
        (f"{days}d", language.ngettext("for {count} day", "for {count} days", days))
        for days in LASTING
    )
    if not any(one.anew for one in offers):
        return days
    text = language.gettext("until the quota begins anew")
    if not all(one.anew for one in offers):
        text = language.gettext("until it begins anew, or for 7 days")
    return ((PERIOD, text), *days)


def offers(
    policies: PolicySet,
    subjects: Sequence[Subject],
    at: datetime,
    language: Language,
    status: UserStatus | None = None,
) -> list[Offer]:
    """The quotas that limit all of these users, and of which one user can be given more; with how
    much remains, where that is one user with a status.
    """
    limiting = [
        {one.name for each in resolve(policies, subject) for one in each.candidates}
        for subject in subjects
    ]
    common = reduce(set.intersection, limiting) if limiting else set()
    usable = {
        one.name: one
        for one in policies
        if one.name in common and not one.pooled and one.name not in policies.default_names
    }
    return [_offer(one, policies, at, language, status) for one in usable.values()]


def _offer(
    policy: Policy,
    policies: PolicySet,
    at: datetime,
    language: Language,
    status: UserStatus | None,
) -> Offer:
    remaining, how = "", None
    for verdict in status.decision.verdicts if status else ():
        if any(one.name == policy.name for one in verdict.allotment.candidates) and status:
            remaining = VerdictText.of(verdict, language).remaining
            how = status.severity_of(verdict)
    symbol = policy.limit.unit.symbol
    period = policy.window.period_at(at)
    return Offer(
        policy.name,
        language.gettext(policies.resources[policy.resource].display_name),
        language.say(policy.window.said),
        language.unit(symbol),
        symbol,
        period[1] if period else None,
        remaining,
        how,
    )


def most_wanted(choices: Sequence[Offer]) -> str:
    """The policy of which more is wanted first: the one that is worst."""

    def order(one: Offer) -> int:
        return WORST_FIRST.index(one.severity) if one.severity else len(WORST_FIRST)

    return min(choices, key=order).policy if choices else ""


def request_of(
    typed: Typed,
    users: Sequence[str],
    choices: Sequence[Offer],
    now: datetime,
    zone: ZoneInfo,
    language: Language,
) -> NewAdjustments:
    """The body of the request that was meant. Raises `Mistyped` with all that is wrong with it."""
    gettext = language.gettext
    faults: list[Fault] = []
    offer = next((one for one in choices if one.policy == typed.policy), None)
    if offer is None:
        faults.append(Fault("policy", gettext("Select a quota.")))
    amount = _amount(typed.amount)
    if not amount:
        text = gettext("Enter a number above 0, for example {example}.", example="2")
        faults.append(Fault("amount", text))
    until = _until(typed, offer, now, zone)
    if not until:
        years = LONGEST_DURATION.days // 366
        text = gettext("Enter a time to come, within {years} years.", years=years)
        faults.append(Fault("until", text))
    if not says_why(typed.reason):
        text = gettext(
            "Write why, in {least} to {most} characters.",
            least=SHORTEST_REASON,
            most=LONGEST_REASON,
        )
        faults.append(Fault("reason", text))
    if offer is None or faults:
        raise Mistyped(faults)
    body = {
        "kind": "grant",
        "policy": offer.policy,
        "users": list(users),
        "amount": f"{amount} {offer.symbol}",
        "until": until,
        "reason": typed.reason,
    }
    try:
        return NewAdjustments.model_validate(body)
    except ValidationError as error:
        wrong = bad_parameter(error)
        raise Mistyped([Fault("", f"{wrong.name}: {wrong}", english=True)]) from None


def says_why(reason: str) -> bool:
    """Whether a reason is as long as one has to be."""
    return SHORTEST_REASON <= len(reason.strip()) <= LONGEST_REASON


def no_reason(language: Language) -> str:
    """What to say where it is not."""
    return language.gettext(
        "Write why, in {least} to {most} characters.", least=SHORTEST_REASON, most=LONGEST_REASON
    )


def _amount(text: str) -> str:
    """A number above 0 without an exponent; empty where it is none."""
    if not NUMBER.fullmatch(text.strip()):
        return ""
    plain = f"{float(text):.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "" if plain == "0" else plain


def _until(typed: Typed, offer: Offer | None, now: datetime, zone: ZoneInfo) -> str:
    """When it ends, as the API has it; empty where that is no time to come."""
    if not typed.until.strip():
        if typed.lasts == PERIOD:
            anew = offer.anew if offer else None
            return anew.astimezone(UTC).isoformat() if anew else USUALLY
        lasts = {f"{days}d" for days in LASTING}
        return typed.lasts if typed.lasts in lasts else ""
    try:
        until = datetime.strptime(typed.until.strip()[:16], UNTIL_FORM).replace(tzinfo=zone)
        within = timedelta(0) < until - now <= LONGEST_DURATION
        return until.astimezone(UTC).isoformat() if within else ""
    except (ValueError, OverflowError):
        return ""


def fault_of(error: UsageQuotasError, policies: PolicySet, language: Language) -> Fault:
    """What is wrong, where the request was refused."""
    gettext = language.gettext
    match error.__cause__:
        case TooMuchGiven() as much:
            unit = next(one.limit.unit for one in policies if one.name == much.policy)
            text = gettext(
                "Too much within a week: with this, {user} would be given {amount} in all, and you"
                " can give up to {limit}. An admin can give more.",
                user=much.user,
                amount=language.amount(much.most, unit),
                limit=language.amount(much.limit, unit),
            )
            return Fault("amount", text)
        case KeyReused():
            text = gettext(
                "This form was sent before, with something else in it. See below what was written;"
                " to write this as well, send it again."
            )
        case AlreadyVoided():
            text = gettext("This was taken back before.")
        case LedgerUnavailable():
            text = gettext(
                "What is decided cannot be written at the moment, or was written and the answer was"
                " lost. Send it again: it is carried out once."
            )
        case _ if isinstance(error, Refused | BadParameter) and error.phrase:
            text = language.say(error.phrase)
        case _:
            return Fault("", str(error), english=True)
    return Fault("", text)
