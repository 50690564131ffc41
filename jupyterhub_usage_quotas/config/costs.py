"""The cost monitor's own options, beside those that all processes share."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from traitlets import Bool, Dict, Enum, List, TraitError, Unicode, default, validate
from traitlets.config import Config

from .. import conventions
from ..costs.sources import aws, focus, opencost, price_list
from ..errors import ConfigurationError
from ..metering.sources.base import PrometheusSource
from ..quotas.messages import Verbatim, wrong
from .attribution import AttributionOptions
from .checks.secrets import SHORTEST, easy_to_guess
from .checks.urls import problem_of_url
from .checks.validation import errors_in_options, remarks
from .files.earlier import understood
from .traits import Seconds, WholeNumber, is_placeholder
from .usage import DAY, HOUR, MINUTE, UsageConfig

SOURCES: Final = (aws.NAME, focus.NAME, opencost.NAME, price_list.NAME)
MOST_DAYS: Final = 3660


class CostMonitor(AttributionOptions):
    """Says what each hub, component, group and user of a cluster cost: the cost monitor."""

    enabled = Bool(
        False,
        help="""
        Whether `setup_usage_quotas` declares the cost monitor as a service that the Hub runs, with
        the Hub's configuration and its ledger. It listens on `port`, and not behind the proxy.
        """,
    ).tag(config=True)

    port = WholeNumber(8080, 1, 65535, "a port", help="The port that it listens on.").tag(
        config=True
    )

    host = Unicode(help="The interface that it listens on; empty for all.").tag(config=True)

    prefix = Unicode("/", help="The path that it answers under.").tag(config=True)

    token = Unicode(
        help="""
        The token that whoever asks sends, as `Authorization: token ...` or `Bearer ...`. The
        default is the environment variable JUPYTERHUB_USAGE_QUOTAS_COST_MONITOR_TOKEN.
        """
    ).tag(config=True)

    allow_without_token = Bool(
        False,
        help="""
        Whether everybody is answered who reaches it. Set it where a network policy lets only
        Grafana do so.
        """,
    ).tag(config=True)

    @default("token")
    def _token_default(self) -> str:
        return os.environ.get(conventions.ENV_COST_MONITOR_TOKEN, "")

    @validate("token")
    def _is_hard_to_guess(self, proposal: Any) -> str:
        secret = str(proposal.value)
        if secret and not is_placeholder(secret) and easy_to_guess(secret):
            got = Verbatim(f"{len(secret)} characters")
            expected = f"at least {SHORTEST} random ones, for example of `openssl rand -hex 32`"
            raise TraitError(wrong("easy to guess", got, expected))
        return secret

    sources = List(
        Enum(SOURCES),
        help="""
        Where costs come from: "aws" (AWS Cost Explorer), "focus" (files in the FOCUS format, of any
        cloud), "opencost", or "prices": what was used at `prices`, for machines of your own. The
        costs of several are added up.
        """,
    ).tag(config=True)

    support_name = Unicode(
        "support", help="What the costs of the cluster that are no one hub's are called."
    ).tag(config=True)

    # --- sources ---

    aws_metric = Enum(
        (
            *("UnblendedCost", "AmortizedCost", "BlendedCost"),
            *("NetUnblendedCost", "NetAmortizedCost"),
        ),
        default_value="UnblendedCost",
        help="Which costs of Cost Explorer are meant.",
    ).tag(config=True)

    aws_record_types = List(
        Unicode(),
        ["Usage"],
        help="""
        The types of charges that are attributed by tags. All others, for example credits and taxes,
        are in the bill and not attributed. With Savings Plans add "SavingsPlanCoveredUsage", with
        reserved instances "DiscountedUsage".
        """,
    ).tag(config=True)

    aws_requests_a_day = WholeNumber(
        100,
        1,
        100_000,
        "a number of requests",
        help="How often Cost Explorer is asked on a day at most; each request costs a cent.",
    ).tag(config=True)

    focus_files = List(
        Unicode(), help='The files of the FOCUS export, as patterns: ["/bills/*.parquet"].'
    ).tag(config=True)

    focus_cost = Enum(
        ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"),
        default_value="BilledCost",
        help="Which costs of FOCUS files are meant.",
    ).tag(config=True)

    opencost_url = Unicode(
        "http://opencost.opencost.svc.cluster.local:9003", help="The URL of OpenCost's API."
    ).tag(config=True)

    def source_in(self, namespace: str) -> PrometheusSource:
        """The configured source in Prometheus of what servers in a namespace ask for."""
        return replace(self.make_source(), namespace=namespace)

    @validate("opencost_url")
    def _is_a_url(self, proposal: Any) -> str:
        if problem := problem_of_url(str(proposal.value), "http://opencost:9003"):
            raise TraitError(problem)
        return str(proposal.value)

    # --- what is kept ---

    refresh_costs_every = Seconds(
        8 * HOUR, MINUTE, 7 * DAY, help="How often, in seconds, sources are asked for costs."
    ).tag(config=True)

    reach_days = WholeNumber(
        395, 2, MOST_DAYS, "a number of days", help="How many days back costs and usage are read."
    ).tag(config=True)

    report_to = Dict(
        help="""
        Who gets a report of each month's costs, once its bill is final, by the Hub's `notice_urls`,
        `notice_webhooks` and `on_notice`: by username, True for the whole bill, or the groups whose
        costs they get, for example {"root": True, "tina": ["physics"]}. It needs the Hub's ledger,
        and a cost monitor that the Hub runs.
        """
    ).tag(config=True)

    @validate("report_to")
    def _are_reports(self, proposal: Any) -> dict[str, Any]:
        for user, groups in proposal.value.items():
            named = isinstance(groups, list | tuple) and all(isinstance(one, str) for one in groups)
            if not (isinstance(user, str) and user and (groups is True or (named and groups))):
                expected = 'True or a list of groups for each user, for example {"root": True}'
                raise TraitError(wrong(got={user: groups}, expected=expected))
        return dict(proposal.value)

    keep_days = WholeNumber(
        1100,
        2,
        MOST_DAYS,
        "a number of days",
        help="For how many days costs and usage are kept; what is older is deleted.",
    ).tag(config=True)

    own_database = Bool(
        False,
        help="""
        Whether no Hub uses the database `ledger_url`: the cost monitor then brings its tables up to
        date, which a Hub does otherwise.
        """,
    ).tag(config=True)

    def errors_together(self, refused: Collection[str] = ()) -> list[str]:
        """See `UsageConfig.errors_together`."""
        errors = super().errors_together(refused)
        if not {"sources", "ledger_url", "token"}.isdisjoint(refused):
            return errors
        if not self.sources:
            errors.append(wrong("sources", self.sources, f"for example {list(SOURCES[:1])}"))
        # A Hub that declares it has a ledger of its own.
        if not (self.ledger_url or self.enabled):
            example = "for example 'sqlite:////var/lib/cost-monitor/costs.sqlite'"
            errors.append(wrong("ledger_url: costs are kept in a database", "", example))
        known = self.token or self.allow_without_token or self.enabled
        if not (known or os.environ.get("JUPYTERHUB_API_TOKEN")):
            expected = "a token, or allow_without_token = True behind a network policy"
            errors.append(wrong("token: nobody could ask for costs", "", expected))
        if aws.NAME in self.sources and not (self.cluster_name or self.cluster_tags):
            errors.append(wrong("cluster_name", "", "the name in the tags of the cluster"))
        if focus.NAME in self.sources and not self.focus_files:
            errors.append(wrong("focus_files", [], "for example ['/bills/*.csv']"))
        if self.keep_days < self.reach_days:
            errors.append(wrong("keep_days", self.keep_days, f"at least {self.reach_days}"))
        return errors


CONFIGURED: tuple[type[UsageConfig], ...] = (UsageConfig, CostMonitor)
"""The classes whose sections the cost monitor's options are in."""


def make_cost_monitor(config: Mapping[str, Any]) -> CostMonitor:
    """The options of a configuration; raises `ConfigurationError` with all their errors."""
    errors = list(errors_in_options(config, CONFIGURED, CostMonitor()))
    if errors:
        raise ConfigurationError(errors)
    return CostMonitor(config=understood(config))


def costs_shown(config: Mapping[str, Any]) -> CostMonitor | None:
    """The options by which the dashboard reads what the cost monitor keeps; None where no source
    is configured. Raises `ConfigurationError`.
    """
    section = config.get(CostMonitor.__name__, {})
    if not section.get("sources"):
        return None
    # Who may query the cost monitor is none of the dashboard's business.
    open_to_all = {**section, "allow_without_token": True}
    return make_cost_monitor(Config({**config, CostMonitor.__name__: Config(open_to_all)}))


def cost_monitor_remarks(config: Mapping[str, Any]) -> list[str]:
    """A line for every option that should be written differently."""
    return remarks(config, (CostMonitor,))
