"""The parts of the dashboards of costs: queries of the data source Infinity to the cost monitor,
and panels of what it answers.

Amounts are in the currency of the bill, with two decimals. Grafana's time range is sent as it is;
the cost monitor makes days of UTC of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, common, table, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    FieldColor,
    QueryVariable,
)
from grafana_foundation_sdk.cog.runtime import UnknownDataquery
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from parts import SHARED_TAG, TAG, steps

KIND = "yesoreyeram-infinity-datasource"
DATASOURCE = DataSourceRef(type_val=KIND, uid="${INFINITY_DS}")
SPAN = "from=${__from:date}&to=${__to:date}"
WITHOUT_SPAN = ("/api/v1/sources",)
"""Addresses of what is so now."""
COSTS_TAG = "jupyterhub-cloud-costs"
ALL = "All"

Column = tuple[str, str, str]
"""A key of a row, its heading, and its type."""
DAY: Column = ("date", "Day", "timestamp")
COST: Column = ("cost", "Cost", "number")


class Query:
    """A query to the cost monitor, as builders of panels take it."""

    def __init__(
        self, path: str, columns: Sequence[Column], *, root: str = "", series: bool = False
    ) -> None:
        span = "" if path in WITHOUT_SPAN else f"{'&' if '?' in path else '?'}{SPAN}"
        self._query = {
            "datasource": {"type": KIND, "uid": DATASOURCE.uid},
            "refId": "A",
            "type": "json",
            "source": "url",
            "parser": "backend",
            "format": "timeseries" if series else "table",
            "url": path + span,
            "url_options": {"method": "GET", "data": ""},
            "root_selector": root,
            "columns": [
                {"selector": key, "text": heading, "type": kind} for key, heading, kind in columns
            ],
        }

    def build(self) -> UnknownDataquery:
        """It as Grafana has it."""
        return UnknownDataquery(self._query)


def dashboard(title: str, uid: str, description: str) -> Dashboard:
    """An empty dashboard with its data source. Days of bills are those of UTC."""
    link = DashboardLink("Cloud costs").type(DashboardLinkType.DASHBOARDS).tags([COSTS_TAG])
    return (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([SHARED_TAG, TAG, COSTS_TAG])
        .timezone("utc")
        .time("now-30d", "now")
        .refresh("")
        .link(link.include_vars(True).keep_time(True))
        .with_variable(DatasourceVariable("INFINITY_DS").label("Cost monitor").type(KIND))
    )


def choice(name: str, label: str, path: str) -> QueryVariable:
    """A variable with the names that the cost monitor answers; at first all."""
    query = {
        "query": "",
        "queryType": "infinity",
        "infinityQuery": {
            "format": "table",
            "parser": "backend",
            "refId": "variable",
            "root_selector": "",
            "source": "url",
            "type": "json",
            "url": f"{path}?{SPAN}",
            "url_options": {"method": "GET", "data": ""},
        },
    }
    return (
        QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(ALL)
        .current(VariableOption(selected=True, text=ALL, value="$__all"))
    )


def by_day(
    title: str, description: str, path: str, name: Column, value: Column = COST, *, width: int = 24
) -> object:
    """Stacked bars for each day."""
    panel = timeseries.Panel().decimals(2).draw_style(GraphDrawStyle.BARS)
    panel = panel.fill_opacity(80).line_width(0).interval("1d")
    panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    legend = common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.TABLE)
    panel = panel.legend(legend.placement(LegendPlacement.RIGHT).calcs(["sum"]))
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
    panel = panel.tooltip(tooltip.sort(SortOrder.DESCENDING))
    query = Query(path, [DAY, name, value], series=True)
    return _filled(panel, title, description, query, width=width, height=9)


def totals(
    title: str,
    description: str,
    path: str,
    name: Column,
    value: Column = COST,
    *,
    root: str = "",
    width: int = 12,
) -> object:
    """The sum of the time shown for each name, the largest first."""
    panel = bargauge.Panel().decimals(2).orientation(VizOrientation.HORIZONTAL)
    panel = panel.display_mode(BarGaugeDisplayMode.BASIC)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["sum"]).values(True))
    panel = panel.thresholds(steps((0, "blue")))
    panel = panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    heading = value[1]
    fields = {
        name[1]: {"aggregations": [], "operation": "groupby"},
        heading: {"aggregations": ["sum"], "operation": "aggregate"},
    }
    order = {"sort": [{"desc": True, "field": f"{heading} (sum)"}]}
    panel = panel.with_transformation(DataTransformerConfig("groupBy", options={"fields": fields}))
    panel = panel.with_transformation(DataTransformerConfig("sortBy", options=order))
    query = Query(path, [name, value], root=root)
    return _filled(panel, title, description, query, width=width, height=9)


def listing(
    title: str,
    description: str,
    path: str,
    columns: Sequence[Column],
    *,
    root: str = "",
    only: tuple[str, str] | None = None,
    width: int = 24,
) -> object:
    """A table of rows; `only` those of which a column has a value."""
    panel = table.Panel().show_header(True)
    for _, heading, kind in columns:
        if kind == "number":
            panel = panel.override_by_name(heading, [DynamicConfigValue("decimals", 2)])
    if only:
        matches = {"id": "equal", "options": {"value": only[1]}}
        chosen = {"type": "include", "match": "all"}
        chosen["filters"] = [{"fieldName": only[0], "config": matches}]
        panel = panel.with_transformation(DataTransformerConfig("filterByValue", options=chosen))
    query = Query(path, columns, root=root)
    return _filled(panel, title, description, query, width=width, height=8)


def _filled(
    panel: object, title: str, description: str, query: Query, *, width: int, height: int
) -> object:
    panel = panel.title(title).description(description).datasource(DATASOURCE)
    return panel.with_target(query).span(width).height(height)
