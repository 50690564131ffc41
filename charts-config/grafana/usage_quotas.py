"""The dashboard "Usage quotas": who has used how much, and which launches were denied."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from parts import HUB, NEAR, choice, counted, dashboard, listing, number, over_time, ranking

from jupyterhub_usage_quotas import conventions as names

WHOSE = f'{HUB}, policy=~"$policy", username=~"$user_name"'
BY = "namespace, username, policy, resource"
GIB = 2**30
AT_MOST = 100
"""Rows of a table, bars of a ranking and lines of a graph are of so many at most: there can be
thousands of users."""
LINES = 15
TOP = 10

LABELS = [
    ("namespace", "Hub"),
    ("username", "User"),
    ("policy", "Policy"),
    ("resource", "Resource"),
]
UNITS = {
    "memory": ("Memory", "suffix: GiB-hours"),
    "cpu": ("CPU", "suffix: CPU-hours"),
    "gpu": ("GPUs", "suffix: GPU-hours"),
    "time": ("Server time", "suffix: hours"),
    "storage": ("Home storage", "suffix: GiB"),
}
IN_BYTES = "memory|storage"


def share(at: str = "") -> str:
    """The share of their limit that users have used; without those whose limit is zero."""
    used, limit = f"{names.USED}{{{WHOSE}}}{at}", f"{names.LIMIT}{{{WHOSE}}}{at}"
    return f"max by ({BY}) ({used} / ({limit} > 0))"


def amount(metric: str) -> str:
    """Amounts in the units in which people think: bytes as GiB, the rest as it is."""
    of_bytes = f'{metric}{{{WHOSE}, resource=~"{IN_BYTES}"}} / {GIB}'
    return f'max by ({BY}) ({of_bytes} or {metric}{{{WHOSE}, resource!~"{IN_BYTES}"}})'


def of_the_nearest(expression: str) -> str:
    """The same of those only who are nearest to their limit."""
    return f"{expression} and on ({BY}) topk({AT_MOST}, {share()})"


def summed(used: str, limit: str, each: str, by: str, *, limits: bool) -> str:
    """The sum of what was used, or of the limits, of those of whom both are known and finite: what
    is not known (NaN) must not make the sum unknown, nor one without a limit make it infinite.
    """
    used, limit = (f"max by ({each}) ({one})" for one in (used, limit))
    counting = (f"{limit} < Inf", f"{used} >= 0") if limits else (f"{used} >= 0", f"{limit} < Inf")
    return f"sum by ({by}) ({' and '.join(counting)})"


def share_of_sums(used: str, limit: str, each: str, by: str) -> str:
    """The share of all limits together that was used."""
    of_limits = summed(used, limit, each, by, limits=True)
    return f"{summed(used, limit, each, by, limits=False)} / ({of_limits} > 0)"


def happened(metric: str, by: str, within: str = HUB, over: str = "$__interval") -> str:
    """How often something was counted."""
    return f"sum by ({by}) (increase({metric}{{{within}}}[{over}]))"


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard(
        "Usage quotas",
        "jupyterhub-usage-quotas",
        "What the users of JupyterHub have used, against what their policies allow. A Hub with many"
        " users exports those who are active or near a limit, unless"
        " UsageQuotaManager.export_usage is True.",
    )
    made = made.with_variable(choice("policy", "Policy", names.LIMIT, HUB))
    made = made.with_variable(
        choice("username", "User", names.LIMIT, f'{HUB}, policy=~"$policy"', as_="user_name")
    )
    for row in (_now, _against_limits, _by_group, _top_users, _events):
        made = row(made)
    return made


def _now(made: Dashboard) -> Dashboard:
    users = f'count(group by (namespace, username) ({names.LIMIT}{{{WHOSE}, username!=""}}))'
    near = f"count(max by (namespace, username) ({share()}) >= {NEAR})"
    over = f"count(max by (namespace, username) ({share()}) >= 1)"
    used = f"{names.USED}{{{WHOSE}}}"
    # NaN is not equal to itself.
    unknown = f"count(group by (namespace, username) ({used} != {used}))"
    denied = f'{HUB}, outcome="denied", enforcement="enforce"'
    numbers = [
        number("Users", "Exported users covered by a policy.", users),
        number("Near a limit", "Users and pools from 90 % of a limit on.", near, warn_at=1),
        number("Over a limit", "Users and pools with nothing left.", over, warn_at=1),
        number("Not known", "Users whose usage is not known now.", unknown, warn_at=1),
        number(
            "Denials",
            "Launches denied in the time shown.",
            f"sum(increase({names.DECISIONS}{{{denied}}}[$__range]))",
        ),
        number(
            "Failovers",
            "Launches in the time shown that failover decided, because usage was not known.",
            f"sum(increase({names.FAILOVERS}{{{HUB}}}[$__range]))",
            warn_at=1,
        ),
    ]
    made = made.with_row(Row("Now"))
    for one in numbers:
        made = made.with_panel(one)
    return made


def _against_limits(made: Dashboard) -> Dashboard:
    used, limit = f"{names.USED}{{{WHOSE}}}", f"{names.LIMIT}{{{WHOSE}}}"
    by_policy = share_of_sums(used, limit, BY, "namespace, policy")
    lines = f"{share()} and on ({BY}) topk({LINES}, {share(' @ end()')})"
    return (
        made.with_row(Row("Against limits"))
        .with_panel(
            listing(
                "Who is near their limit",
                f"The {AT_MOST} users with the largest share of their limit used. A row without"
                " a user is a pool. Memory in"
                " GiB-hours, home storage in GiB, the rest in hours of a CPU, GPU or server.",
                [
                    (f"topk({AT_MOST}, {share()})", "Share", "percentunit"),
                    (of_the_nearest(amount(names.USED)), "Used", "short"),
                    (of_the_nearest(amount(names.LIMIT)), "Limit", "short"),
                    (of_the_nearest(amount(names.REMAINING)), "Remaining", "short"),
                ],
                LABELS,
            )
        )
        .with_panel(
            over_time(
                "Share of the limit, by user",
                f"The {LINES} users nearest to their limit at the end of the time shown.",
                [(lines, "{{username}} · {{policy}} · {{namespace}}")],
                unit="percentunit",
                line_at=1,
            )
        )
        .with_panel(
            over_time(
                "Share of all limits together, by policy",
                "What all users of a policy have used together, as a share of what all of them"
                " may use.",
                [(by_policy, "{{policy}} · {{namespace}}")],
                unit="percentunit",
                line_at=1,
            )
        )
    )


def _by_group(made: Dashboard) -> Dashboard:
    made = made.with_row(Row("By group"))
    for resource, divisor in (("memory", f" / {GIB}"), ("cpu", "")):
        title, unit = UNITS[resource]
        metrics = names.BY_GROUP_METRICS[resource]
        used, limit = (f'{metric}{{{HUB}, username=~"$user_name"}}' for metric in metrics)
        each, by = "namespace, username, policy_group, window", "namespace, policy_group, window"
        made = made.with_panel(
            listing(
                f"{title}, by the groups of the policy",
                "What the members used together, and what they may use. Only policies with a"
                " rolling window.",
                [
                    (share_of_sums(used, limit, each, by), "Share", "percentunit"),
                    (summed(used, limit, each, by, limits=False) + divisor, "Used", unit),
                    (summed(used, limit, each, by, limits=True) + divisor, "Limit", unit),
                ],
                [("namespace", "Hub"), ("policy_group", "Groups"), ("window", "Days")],
                width=12,
            )
        )
    return made


def _top_users(made: Dashboard) -> Dashboard:
    made = made.with_row(Row("Top users"))
    for resource, (title, unit) in UNITS.items():
        used = f'{names.USED}{{{WHOSE}, username!="", resource="{resource}"}}'
        divided = f"{used} / {GIB}" if resource in IN_BYTES.split("|") else used
        expression = f"topk({TOP}, max by (namespace, username, policy) ({divided}) > 0)"
        made = made.with_panel(
            ranking(
                title,
                f"The {TOP} exported users who used most in the window of a policy.",
                (expression, "{{username}} · {{policy}} · {{namespace}}"),
                unit=unit,
                width=8,
            )
        )
    return made


def _events(made: Dashboard) -> Dashboard:
    decided = happened(names.DECISIONS, "namespace, outcome, enforcement")
    warned = happened(names.WARNINGS, "namespace, policy", f'{HUB}, policy=~"$policy"')
    failed = happened(names.FAILOVERS, "namespace, reason")
    return (
        made.with_row(Row("Launches"))
        .with_panel(
            counted(
                "Decisions",
                "Launches, by outcome. In `shadow` nothing is denied.",
                [(decided, "{{outcome}} ({{enforcement}}) · {{namespace}}")],
                width=8,
            )
        )
        .with_panel(
            counted(
                "Warnings",
                "Launches beyond a quota that only warns.",
                [(warned, "{{policy}} · {{namespace}}")],
                width=8,
            )
        )
        .with_panel(
            counted(
                "Failovers",
                "Launches that failover decided, by the reason why usage was not known.",
                [(failed, "{{reason}} · {{namespace}}")],
                width=8,
            )
        )
    )
