"""The parts of both dashboards: variables, selectors, and panels in one style.

All queries go to the data source that the variable `PROMETHEUS_DS` names, about the Hubs that the
variable `hub` selects, so one copy serves any number of Hubs.
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    FieldColor,
    QueryVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TimeZoneBrowser,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from jupyterhub_usage_quotas import conventions as names

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${PROMETHEUS_DS}")
TAG = "jupyterhub-usage-quotas"
SHARED_TAG = "jupyterhub"
"""The tag of JupyterHub's own dashboards, whose names of variables these have, too."""
HUB = 'namespace=~"$hub"'
NEAR = 0.9
"""The share of a limit from which on a user is near it; as in the alert."""
COUNTED_IN = "5m"
"""The least width of a bar: several scrapes, so that none that counted falls between two bars."""

Query = tuple[str, str]
"""An expression, and the name of its series."""


def dashboard(title: str, uid: str, description: str) -> Dashboard:
    """An empty dashboard with the variables that both have."""
    link = DashboardLink("Usage quotas").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([SHARED_TAG, TAG])
        .timezone(TimeZoneBrowser)
        .time("now-7d", "now")
        .refresh("5m")
        .link(link.include_vars(True).keep_time(True))
        .with_variable(DatasourceVariable("PROMETHEUS_DS").label("Prometheus").type("prometheus"))
        .with_variable(choice("namespace", "Hub", names.USAGE_AGE, "", as_="hub"))
    )


def choice(
    label_name: str, label: str, metric: str, within: str, *, as_: str = ""
) -> QueryVariable:
    """A variable with the values of a label; at first all, also series without the label."""
    selector = f"{metric}{{{within}}}" if within else metric
    return (
        QueryVariable(as_ or label_name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({selector}, {label_name})", "refId": as_ or label_name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def over_time(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    unit: str = "short",
    width: int = 12,
    line_at: float | None = None,
) -> timeseries.Panel:
    """Lines over time, with a line at a limit."""
    panel = timeseries.Panel().unit(unit).fill_opacity(5).min(0)
    panel = panel.legend(_legend(["lastNotNull", "max"])).tooltip(_tooltip())
    if line_at is not None:
        style = common.GraphThresholdsStyleConfig().mode("dashed")
        panel = panel.thresholds(steps((0, "transparent"), (line_at, "red")))
        panel = panel.thresholds_style(style)
    return _filled(panel, title, description, queries, width=width)


def counted(
    title: str, description: str, queries: Sequence[Query], *, width: int = 12
) -> timeseries.Panel:
    """Stacked bars of how often something happened."""
    panel = timeseries.Panel().unit("short").decimals(0).min(0).interval(COUNTED_IN)
    panel = panel.draw_style(GraphDrawStyle.BARS).fill_opacity(80).line_width(0)
    panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    panel = panel.legend(_legend(["sum"])).tooltip(_tooltip())
    return _filled(panel, title, description, queries, width=width)


def number(
    title: str,
    description: str,
    expression: str,
    *,
    warn_at: float | None = None,
) -> stat.Panel:
    """One number, coloured from where on it asks for attention."""
    colours = [(0.0, "green")] if warn_at is None else [(0.0, "green"), (warn_at, "orange")]
    panel = stat.Panel().unit("short").no_value("0").thresholds(steps(*colours))
    panel = panel.color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.NONE)
    panel = panel.reduce_options(_last())
    return _filled(panel, title, description, [(expression, "")], width=4, height=4, instant=True)


def ranking(
    title: str, description: str, query: Query, *, unit: str, width: int = 12, shares: bool = False
) -> bargauge.Panel:
    """The largest of many, as bars."""
    panel = bargauge.Panel().unit(unit).min(0).orientation(VizOrientation.HORIZONTAL)
    panel = panel.display_mode(BarGaugeDisplayMode.BASIC).reduce_options(_last())
    if shares:
        panel = panel.max(1).thresholds(steps((0, "green"), (NEAR, "orange"), (1, "red")))
    else:
        panel = panel.thresholds(steps((0, "blue")))
    panel = panel.color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    return _filled(panel, title, description, [query], width=width, instant=True)


def listing(
    title: str,
    description: str,
    columns: Sequence[tuple[str, str, str]],
    labels: Sequence[Query],
    *,
    width: int = 24,
) -> table.Panel:
    """A table: columns of values (an expression, a heading, a unit), after those of labels (a
    label, its heading). Sorted by the first value, the largest first.
    """
    renamed = dict(labels)
    panel = table.Panel().sort_by(
        [common.TableSortByFieldState().display_name(columns[0][1]).desc(True)]
    )
    for ref, (expression, heading, unit) in zip("ABCDEF", columns, strict=False):
        query = _query(expression, "", instant=True).format(PromQueryFormat.TABLE).ref_id(ref)
        panel = panel.with_target(query)
        renamed[f"Value #{ref}" if len(columns) > 1 else "Value"] = heading
        panel = panel.override_by_name(heading, _column(unit))
    order = {name: place for place, name in enumerate(renamed)}
    organize = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed}
    if len(columns) > 1:
        panel = panel.with_transformation(DataTransformerConfig("merge", options={}))
    panel = panel.with_transformation(DataTransformerConfig("organize", options=organize))
    return panel.title(title).description(description).datasource(DATASOURCE).span(width).height(9)


def steps(*limits: tuple[float, str]) -> ThresholdsConfig:
    """Colours from a value on; the first holds for everything below, too."""
    first, *others = limits
    of = [Threshold(None, first[1]), *(Threshold(value, colour) for value, colour in others)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(of)


def _column(unit: str) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue("unit", unit), DynamicConfigValue("decimals", 1)]
    if unit == "percentunit":
        colours = steps((0, "green"), (NEAR, "orange"), (1, "red")).build()
        found += [
            DynamicConfigValue("thresholds", colours.to_json()),
            DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        ]
    return found


def _filled(
    panel: object,
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    width: int,
    height: int = 8,
    instant: bool = False,
) -> object:
    panel = panel.title(title).description(description).datasource(DATASOURCE)
    for ref, (expression, legend) in zip("ABCDEF", queries, strict=False):
        panel = panel.with_target(_query(expression, legend, instant=instant).ref_id(ref))
    return panel.span(width).height(height)


def _query(expression: str, legend: str, *, instant: bool) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expression).legend_format(legend).datasource(DATASOURCE)
    return query.instant() if instant else query.range()


def _legend(calculations: list[str]) -> common.VizLegendOptions:
    shown = common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.TABLE)
    return shown.placement(LegendPlacement.BOTTOM).calcs(calculations)


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)


def _last() -> object:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
