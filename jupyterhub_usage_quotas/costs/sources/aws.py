"""AWS Cost Explorer: what an account was charged, by day, hub and service.

Four questions, whatever the time they are about: the whole account, what is the cluster's, and of
that home storage and core. Whatever is not the cluster's is in the bill, too, and not attributed.

API: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html
"""

from __future__ import annotations

import asyncio
import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ...quotas.messages import shown, wrong
from ..components import CORE, HOME, Tag, Tagging
from ..money import EXACT, ZERO, InvalidAmount, read_amount
from ..values import CLUSTER, CostRow
from .base import DAY, Bill, CostsUnknown, Date, SourceState, days_between

NAME: Final = "aws"
SETTLES: Final = 3 * DAY
"""Cost Explorer knows a day after about one: until then a day without costs is not known."""
MOST_PAGES: Final = 200
Filter = dict[str, Any]
Asked = Callable[[str], None]
"""Gets the outcome of every request."""

STATES: Final[Mapping[str, SourceState]] = {
    "LimitExceededException": SourceState.THROTTLED,
    "ThrottlingException": SourceState.THROTTLED,
    "Throttling": SourceState.THROTTLED,
    "TooManyRequestsException": SourceState.THROTTLED,
    "RequestLimitExceeded": SourceState.THROTTLED,
    "DataUnavailableException": SourceState.TOO_NEW,
    "AccessDeniedException": SourceState.DENIED,
    "AccessDenied": SourceState.DENIED,
    "UnrecognizedClientException": SourceState.DENIED,
    "InvalidClientTokenId": SourceState.DENIED,
    "ExpiredTokenException": SourceState.DENIED,
    "SignatureDoesNotMatch": SourceState.DENIED,
}
"""What the codes of errors mean; others are `FAILED`."""


@dataclass(frozen=True, slots=True)
class Query:
    """What Cost Explorer is asked for: which metric, and which types of charges are attributed to
    the cluster by tags. All others (credits, taxes, refunds) are in the bill and not attributed.
    """

    metric: str = "UnblendedCost"
    record_types: Sequence[str] = ("Usage",)


class Budget:
    """How often Cost Explorer may be asked on a day: each request costs a cent."""

    def __init__(self, a_day: int, today: Callable[[], Date]) -> None:
        self._a_day, self._today = a_day, today
        self._day: Date | None = None
        self._asked = 0

    def take(self) -> None:
        """Count a request. Raises `CostsUnknown` where there were too many."""
        today = self._today()
        if self._day != today:
            self._day, self._asked = today, 0
        if self._asked >= self._a_day:
            what = f"Cost Explorer was asked {self._asked} times today, as often as it may be"
            raise CostsUnknown(SourceState.OVER_BUDGET, f"{what} (aws_requests_a_day)")
        self._asked += 1


class CostExplorer:
    """The bill of an AWS account; see `CostSource`."""

    name = NAME
    asks_little = True

    def __init__(
        self,
        tagging: Tagging,
        query: Query,
        budget: Budget,
        *,
        today: Callable[[], Date],
        asked: Asked = lambda _outcome: None,
        client: Callable[[], Any] | None = None,
    ) -> None:
        self._tagging, self._query, self._budget = tagging, query, budget
        self._today, self._asked = today, asked
        self._make = client or make_client
        self._client: Any = None

    async def days(self, since: Date, until: Date) -> Bill:
        """See `CostSource`."""
        return await asyncio.to_thread(self._read, since, until)

    async def aclose(self) -> None:
        """See `CostSource`."""
        if self._client is not None:
            await asyncio.to_thread(self._client.close)

    def _read(self, since: Date, until: Date) -> Bill:
        query, tagging = self._query, self._tagging
        ours = _both(_dimension("RECORD_TYPE", query.record_types), _any_tag(tagging.cluster))
        home = _any_tag(tagging.home)
        by_hub = [{"Type": "TAG", "Key": tagging.hub_key}, _BY_SERVICE]
        by_type = [_BY_SERVICE, {"Type": "DIMENSION", "Key": "RECORD_TYPE"}]
        parts = _Parts(
            self._ask(since, until, None, by_type),
            self._ask(since, until, ours, by_hub),
            self._ask(since, until, _both(ours, home), by_hub) if home else [],
            self._ask(since, until, _both(ours, _core(tagging), _not(home)), by_hub),
            query,
            tagging,
        )
        days = {}
        for day in days_between(since, until):
            final = parts.final.get(day, False)
            if parts.account.get(day) or self._today() - day > SETTLES:
                days[day] = final
        rows = [row for row in parts.rows() if row.day in days]
        state, detail = _state(rows, days, since, until)
        return Bill(rows, days, state, detail)

    def _ask(
        self, since: Date, until: Date, only: Filter | None, by: Sequence[Mapping[str, str]]
    ) -> list[Mapping[str, Any]]:
        """The results of all pages."""
        asked: dict[str, Any] = {
            "TimePeriod": {"Start": since.isoformat(), "End": until.isoformat()},
            "Granularity": "DAILY",
            "Metrics": [self._query.metric],
            "GroupBy": list(by),
        }
        if only:
            asked["Filter"] = only
        results: list[Mapping[str, Any]] = []
        for _ in range(MOST_PAGES):
            answer = self._request(asked)
            results += answer.get("ResultsByTime", [])
            token = answer.get("NextPageToken")
            if not token:
                return results
            asked["NextPageToken"] = token
        raise CostsUnknown(SourceState.BAD_ANSWER, f"more than {MOST_PAGES} pages")

    def _request(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 an extra

        self._budget.take()
        outcome = SourceState.FAILED
        try:
            if self._client is None:
                self._client = self._make()
            answer: Mapping[str, Any] = self._client.get_cost_and_usage(**asked)
            outcome = SourceState.OK
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            outcome = STATES.get(code, SourceState.FAILED)
            raise CostsUnknown(outcome, f"Cost Explorer refused: {_line(error)}") from None
        except BotoCoreError as error:
            outcome = SourceState.UNREACHABLE
            if "Credential" in type(error).__name__:
                outcome = SourceState.DENIED
            raise CostsUnknown(outcome, f"Cost Explorer: {_line(error)}") from None
        finally:
            self._asked(outcome.value)
        return answer


_BY_SERVICE: Final = {"Type": "DIMENSION", "Key": "SERVICE"}
Amounts = dict[tuple[str, str], dict[str, Decimal]]
"""By two keys, and currency."""


class _Parts:
    """The answers, by day, and what they say of whom."""

    def __init__(
        self,
        account: Iterable[Mapping[str, Any]],
        ours: Iterable[Mapping[str, Any]],
        home: Iterable[Mapping[str, Any]],
        core: Iterable[Mapping[str, Any]],
        query: Query,
        tagging: Tagging,
    ) -> None:
        self._query, self._tagging = query, tagging
        self.final: dict[Date, bool] = {}
        self.account = self._by_day(account)
        self._ours, self._home, self._core = map(self._by_day, (ours, home, core))

    def _by_day(self, results: Iterable[Mapping[str, Any]]) -> dict[Date, Amounts]:
        found: dict[Date, Amounts] = defaultdict(dict)
        try:
            for result in results:
                day = datetime.date.fromisoformat(result["TimePeriod"]["Start"][:10])
                self.final[day] = not result.get("Estimated") and self.final.get(day, True)
                for group in result["Groups"]:
                    first, second = group["Keys"]
                    metric = group["Metrics"][self._query.metric]
                    at = found[day].setdefault((first, second), {})
                    unit, amount = str(metric["Unit"]), read_amount(metric["Amount"])
                    at[unit] = EXACT.add(at.get(unit, ZERO), amount)
        except (KeyError, TypeError, ValueError, InvalidAmount) as error:
            what = f"Cost Explorer: {type(error).__name__}: {shown(error)}"
            raise CostsUnknown(SourceState.BAD_ANSWER, what) from None
        return dict(found)

    def rows(self) -> Iterator[CostRow]:
        """What was charged: first what is the cluster's, then the rest of the account."""
        for day, account in self.account.items():
            left: Amounts = {at: dict(of) for at, of in account.items()}
            for (key, service), amounts in self._ours.get(day, {}).items():
                for unit, amount in amounts.items():
                    yield from self._of_cluster(day, key, service, unit, amount)
                    _take(left, service, self._query.record_types, unit, amount)
            for (service, kind), amounts in left.items():
                attributed = kind in self._query.record_types
                component = self._tagging.component_of(service) if attributed else kind
                for unit, amount in amounts.items():
                    yield from self._row(day, None, component, service, unit, amount)

    def _of_cluster(
        self, day: Date, key: str, service: str, unit: str, amount: Decimal
    ) -> Iterator[CostRow]:
        """What is home storage, what is core, and the rest of a service."""
        hub = key.removeprefix(f"{self._tagging.hub_key}$") or CLUSTER
        rest = amount
        for component, found in ((HOME, self._home), (CORE, self._core)):
            part = found.get(day, {}).get((key, service), {}).get(unit, ZERO)
            rest = EXACT.subtract(rest, part)
            yield from self._row(day, hub, component, service, unit, part)
        component = self._tagging.component_of(service)
        yield from self._row(day, hub, component, service, unit, rest)

    def _row(
        self, day: Date, hub: str | None, component: str, service: str, unit: str, amount: Decimal
    ) -> Iterator[CostRow]:
        if amount:
            yield CostRow(day, hub, component, amount, unit, self.final.get(day, False), service)


def _take(left: Amounts, service: str, kinds: Sequence[str], unit: str, amount: Decimal) -> None:
    """Take what is the cluster's out of what is left of the account: of the type of charge that has
    it all, else of the first, so that the sum stays what it is.
    """
    of_service = [left[service, kind] for kind in kinds if (service, kind) in left]
    for amounts in of_service:
        if amounts.get(unit) == amount:
            amounts[unit] = ZERO
            return
    amounts = of_service[0] if of_service else left.setdefault((service, kinds[0]), {})
    amounts[unit] = EXACT.subtract(amounts.get(unit, ZERO), amount)


def _state(
    rows: Sequence[CostRow], days: Mapping[Date, bool], since: Date, until: Date
) -> tuple[SourceState, str]:
    """What is wrong with costs that came."""
    if not days:
        return SourceState.NOT_READY, f"Cost Explorer has no costs of {since} to {until - DAY} yet"
    if rows and all(row.hub is None for row in rows):
        return SourceState.TAGS_NOT_ACTIVE, (
            "no cost has a tag of the cluster: activate the tags as cost allocation tags in the"
            " account that pays; they are in data a day later, and not in what was before"
        )
    if any(row.hub == CLUSTER for row in rows) and not any(row.hub for row in rows):
        return SourceState.HUBS_NOT_TAGGED, (
            "no cost has the tag of a hub: activate it as a cost allocation tag in the account"
            " that pays, or set split_untagged where the cluster has one hub"
        )
    if len(days) < (until - since).days:
        missing = ", ".join(str(day) for day in days_between(since, until) if day not in days)
        return SourceState.NOT_READY, f"Cost Explorer has no costs of {missing} yet"
    return SourceState.OK, ""


def _dimension(key: str, values: Sequence[str]) -> Filter | None:
    return {"Dimensions": {"Key": key, "Values": list(values)}} if values else None


def _tag(tag: Tag) -> Filter:
    if tag.value is None:
        absent: Filter = {"Tags": {"Key": tag.key, "MatchOptions": ["ABSENT"]}}
        return {"Not": absent}
    return {"Tags": {"Key": tag.key, "Values": [tag.value], "MatchOptions": ["EQUALS"]}}


def _any_tag(tags: Sequence[Tag]) -> Filter | None:
    return _either(*map(_tag, tags))


def _core(tagging: Tagging) -> Filter | None:
    """What of the cluster's machines is core."""
    usage = _dimension("USAGE_TYPE_GROUP", tagging.core_usage)
    return _both(
        _dimension("SERVICE", tagging.core_services), _either(*map(_tag, tagging.core), usage)
    )


def _not(one: Filter | None) -> Filter | None:
    return {"Not": one} if one else None


def _both(*filters: Filter | None) -> Filter | None:
    return _joined("And", filters)


def _either(*filters: Filter | None) -> Filter | None:
    return _joined("Or", filters)


def _joined(how: str, filters: Sequence[Filter | None]) -> Filter | None:
    """A filter of several. Cost Explorer refuses one with fewer than two."""
    given = [one for one in filters if one]
    return {how: given} if len(given) > 1 else given[0] if given else None


def _line(error: Exception) -> str:
    return shown(" ".join(str(error).split()))


def make_client() -> Any:
    """A client as botocore is configured: credentials, profile, endpoint from its usual places."""
    try:
        from botocore.config import Config  # noqa: PLC0415 an extra
        from botocore.session import get_session  # noqa: PLC0415 an extra
    except ImportError:
        need = "this package to be installed with its extra [costs]"
        missing = wrong("the source aws needs botocore", expected=need)
        raise CostsUnknown(SourceState.FAILED, missing) from None
    session = get_session()
    region = session.get_config_variable("region") or "us-east-1"
    patience = Config(
        connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 3}
    )
    return session.create_client("ce", region_name=region, config=patience)
