"""What AWS says of the cost monitor's credentials: who they are, what they may, and which tags are
active as cost allocation tags. Two requests of Cost Explorer, which cost two cents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ...config.costs import CostMonitor
from ...costs.sources import aws
from ...costs.sources.base import DAY, CostsUnknown, Date, SourceState
from ...quotas.messages import printable
from ..findings import Finding, failed, listed, ok, skipped, warning

REFUSED: Final = (
    "Give the role of the cost monitor the policy in docs/how-to/costs.md: ce:GetCostAndUsage, and"
    " ce:ListCostAllocationTags for this check."
)
ACTIVATE: Final = (
    "Activate it as a cost allocation tag in the account that pays (Billing, Cost allocation tags);"
    " it is in data a day later, and not in what was before unless a backfill is requested there."
)
MOST_PAGES: Final = 10
PLANS: Final = {
    "SavingsPlanCoveredUsage": "what Savings Plans cover",
    "DiscountedUsage": "what reserved instances cover",
}
"""The types of charges of usage that has the type Usage no more."""


def of_cost_explorer(monitor: CostMonitor, today: Date) -> list[Finding]:
    """What Cost Explorer answers with the credentials that are found here."""
    try:
        client = aws.make_client()
    except CostsUnknown as error:
        return [failed(str(error), "Install it where the cost monitor runs.")]
    found = [_charges(client, monitor, today)]
    if found[0].status == "failed":
        return found
    return [*found, *_tags(client, monitor)]


def _asked(ask: Callable[[], Any]) -> Any:
    """An answer. Raises `CostsUnknown`."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 an extra

    try:
        return ask()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        state = aws.STATES.get(code, SourceState.FAILED)
        raise CostsUnknown(state, printable(f"{code}: {error}")) from None
    except BotoCoreError as error:
        denied = "Credential" in type(error).__name__
        state = SourceState.DENIED if denied else SourceState.UNREACHABLE
        raise CostsUnknown(state, printable(f"{type(error).__name__}: {error}")) from None


def _charges(client: Any, monitor: CostMonitor, today: Date) -> Finding:
    """Whether costs may be asked for, and whether usage has types that are not attributed."""
    try:
        kinds = _asked(lambda: _kinds(client, monitor.aws_metric, today))
    except CostsUnknown as error:
        cures = {
            SourceState.DENIED: f"Are these the credentials of the cost monitor? {REFUSED}",
            SourceState.TOO_NEW: "Cost Explorer was just switched on: wait for a day.",
            SourceState.UNREACHABLE: "Allow connections to ce.us-east-1.amazonaws.com.",
        }
        says = f"Cost Explorer does not answer ({error.state.value}): {error}"
        return failed(says, cures.get(error.state, "Try again in some minutes."))
    left_out = [one for one in PLANS if one in kinds and one not in monitor.aws_record_types]
    if left_out:
        what = " and ".join(PLANS[one] for one in left_out)
        cure = f"Add to c.CostMonitor.aws_record_types: {', '.join(left_out)}."
        return warning(f"Cost Explorer has {what}, which is attributed to nobody", cure)
    return ok("Cost Explorer answers, and its charges are of types that are attributed")


def _kinds(client: Any, metric: str, today: Date) -> set[str]:
    """The types of charges in the last month."""
    asked: dict[str, Any] = {
        "TimePeriod": {"Start": f"{today - 30 * DAY}", "End": f"{today}"},
        "Granularity": "MONTHLY",
        "Metrics": [metric],
        "GroupBy": [{"Type": "DIMENSION", "Key": "RECORD_TYPE"}],
    }
    found: set[str] = set()
    for _ in range(MOST_PAGES):
        answer = client.get_cost_and_usage(**asked)
        for result in answer.get("ResultsByTime", []):
            found.update(str(group["Keys"][0]) for group in result.get("Groups", []))
        if not answer.get("NextPageToken"):
            break
        asked["NextPageToken"] = answer["NextPageToken"]
    return found


def _tags(client: Any, monitor: CostMonitor) -> Sequence[Finding]:
    """Whether the tags that costs are attributed by are active."""

    def read() -> set[str]:
        pages = client.get_paginator("list_cost_allocation_tags").paginate(Status="Active")
        return {one["TagKey"] for page in pages for one in page.get("CostAllocationTags", [])}

    try:
        active = _asked(read)
    except CostsUnknown as error:
        says = f"which cost allocation tags are active cannot be read: {error}"
        if error.state is SourceState.DENIED:
            says += "; in an account that does not pay it cannot be"
        return [skipped(printable(says))]
    tagging = monitor.tagging
    found: list[Finding] = []
    clusters = [one.key for one in tagging.cluster]
    if not any(key in active for key in clusters):
        says = f"no tag of the cluster is active: {listed(clusters)}; nothing would be attributed"
        found.append(failed(says, ACTIVATE))
    if tagging.hub_key not in active and not monitor.split_untagged:
        says = f'the tag of hubs "{tagging.hub_key}" is not active: no user would bear any cost'
        found.append(failed(says, ACTIVATE))
    parts = {"home storage": tagging.home, "core machines": tagging.core}
    for what, tags in parts.items():
        if tags and not any(one.key in active for one in tags):
            names = listed([one.key for one in tags])
            says = f"no tag of {what} is active ({names}): it counts by its service alone"
            found.append(warning(says, ACTIVATE))
    return found or [ok("the cost allocation tags of cluster and hubs are active")]
