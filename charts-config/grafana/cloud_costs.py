"""The dashboards of costs: for whoever pays, of groups, and of users."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row, TextBoxVariable
from infinity import COST, DAY, by_day, choice, dashboard, listing, totals

HUBS = "hub=${hub:glob}"
NAME = ("name", "Name", "string")
HUB = ("name", "Hub", "string")
COMPONENT = ("component", "Component", "string")
GROUP = ("usergroup", "Group", "string")
USER = ("user", "User", "string")
VALUE = ("value", "Cost", "number")
AMOUNT = ("amount", "Cost", "number")
FINAL = ("final", "Final", "string")
ADDS_UP = "All of it adds up to the bill."


def build() -> Dashboard:
    """What the cluster cost."""
    made = dashboard(
        "Cloud costs",
        "jupyterhub-cloud-costs",
        "What a cluster of JupyterHubs cost, by hub and component, out of the whole bill.",
    ).with_variable(choice("hub", "Hub", "/hub-names"))
    return (
        made.with_row(Row("The bill"))
        .with_panel(
            totals(
                "What became of the bill",
                "What users caused, what was idle or shared, and what is not attributed, for"
                f" example taxes, credits and other clusters. {ADDS_UP}",
                "/api/v1/costs?by=kind",
                ("kind", "Kind", "string"),
                AMOUNT,
                root="rows",
            )
        )
        .with_panel(totals("Hubs", f"What each hub cost. {ADDS_UP}", "/total-costs-per-hub", HUB))
        .with_panel(
            by_day(
                "Hubs by day",
                "What each hub cost, what is the cluster's and no one hub's, and what is not"
                f" attributed. {ADDS_UP}",
                "/total-costs-per-hub",
                HUB,
            )
        )
        .with_row(Row("Components"))
        .with_panel(
            by_day(
                "Components by day",
                "What each component of the chosen hubs cost.",
                f"/total-costs-per-component?{HUBS}",
                COMPONENT,
                width=16,
            )
        )
        .with_panel(
            totals(
                "Components",
                "What each component of the chosen hubs cost.",
                f"/total-costs-per-component?{HUBS}",
                COMPONENT,
                width=8,
            )
        )
        .with_row(Row("What is not final"))
        .with_panel(
            listing(
                "Estimated days",
                "Days whose costs are estimates: the bill may still say something else.",
                "/total-costs",
                [DAY, NAME, COST, FINAL],
                only=("Final", "false"),
                width=10,
            )
        )
        .with_panel(
            listing(
                "Sources",
                "How it is with each source of costs; what to do is in docs/how-to/costs.md.",
                "/api/v1/sources",
                [
                    ("name", "Source", "string"),
                    ("state", "State", "string"),
                    ("known_until", "Known until", "timestamp"),
                    ("detail", "Why", "string"),
                ],
                root="sources",
                width=14,
            )
        )
    )


def build_groups() -> Dashboard:
    """What groups cost."""
    made = dashboard(
        "Cloud costs of groups",
        "jupyterhub-cloud-costs-groups",
        "What the users of each group cost. A user of several groups counts once.",
    ).with_variable(choice("hub", "Hub", "/hub-names"))
    per_group = f"/total-costs-per-group?{HUBS}"
    members = [
        ("hub", "Hub", "string"),
        ("username", "User", "string"),
        ("usergroup", "Group", "string"),
    ]
    return (
        made.with_row(Row("Costs"))
        .with_panel(
            totals(
                "Groups",
                "What the users of each group cost, and what no user caused in the chosen hubs.",
                per_group,
                GROUP,
                width=8,
            )
        )
        .with_panel(by_day("Groups by day", "The same for each day.", per_group, GROUP, width=16))
        .with_row(Row("Members"))
        .with_panel(
            listing(
                "In several groups",
                "Users who count in one of their groups, or in parts in all of them.",
                "/users-with-multiple-groups",
                members,
                width=12,
            )
        )
        .with_panel(
            listing(
                "In no group",
                "Users whose costs are those of no group.",
                "/users-with-no-groups",
                members[:2],
                width=12,
            )
        )
    )


def build_users() -> Dashboard:
    """What users cost."""
    made = dashboard(
        "Cloud costs of users",
        "jupyterhub-cloud-costs-users",
        "What each user cost: of each component their share of what was used.",
    )
    made = (
        made.with_variable(choice("hub", "Hub", "/hub-names"))
        .with_variable(choice("component", "Component", "/component-names"))
        .with_variable(TextBoxVariable("limit").label("Users shown").default_value("20"))
    )
    chosen = f"{HUBS}&component=${{component:glob}}&limit=${{limit}}"
    path = f"/costs-per-user?{chosen}"
    return (
        made.with_row(Row("Costs"))
        .with_panel(
            totals(
                "Users",
                "Those who cost most, the others together, and what no user caused.",
                path,
                USER,
                VALUE,
                width=8,
            )
        )
        .with_panel(by_day("Users by day", "The same for each day.", path, USER, VALUE, width=16))
        .with_panel(
            listing(
                "Day by day",
                "What each user cost, by hub, component and group; days that are not final are"
                " estimates.",
                path,
                [
                    DAY,
                    ("hub", "Hub", "string"),
                    COMPONENT,
                    USER,
                    GROUP,
                    VALUE,
                    ("currency", "Currency", "string"),
                    FINAL,
                ],
            )
        )
    )
