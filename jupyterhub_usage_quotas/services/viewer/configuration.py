"""The viewer's configuration: what the Hub passed on, then its own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traitlets.config import Config

from ...config.costs import CostMonitor, costs_shown
from ...config.files.earlier import merge_later
from ...config.files.loading import load_service_config
from ...config.quotas import QuotaOptions
from ...config.viewer import UsageViewer, make_viewer, viewer_remarks
from ...errors import ConfigurationError
from ...ledger.base import Ledger

NO_OPTIONS = Config()
"""Nothing on the command line."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The options of the viewer, the rules, ledger and costs it shows, and lines for the admin."""

    viewer: UsageViewer
    manager: QuotaOptions
    ledger: Ledger
    remarks: tuple[str, ...]
    costs: CostMonitor | None = None
    """The options of the cost monitor whose costs are shown; None where there are none."""


def read_configuration(
    environment: Mapping[str, str], files: Sequence[Path], options: Config = NO_OPTIONS
) -> Configured:
    """Read the whole configuration; `options` take precedence over files.

    Raises `ConfigurationError` with all that is wrong in it.
    """
    config, remarks = load_service_config(environment, files)
    merge_later(config, options)
    viewer = make_viewer(config)
    manager = QuotaOptions(config=config)
    if viewer.enable_compute and not tuple(manager.policies):
        remarks.append(
            "There are no policies. Where the Hub does not run this service itself, set"
            " c.UsageQuotaManager.policy in one of its --config-files"
        )
    ledger = manager.make_ledger(viewer.ledger_url)
    try:
        costs = costs_shown(config)
        # A cost monitor that the Hub runs needs none of its own; the dashboard does not know it.
        if costs is not None and not costs.ledger_url:
            costs = None
            remarks.append(
                "What it cost is not shown: set c.UsageConfig.ledger_url, where costs are kept"
            )
    except ConfigurationError as error:
        # Of another service: the dashboard does without.
        costs = None
        remarks.append(f"What it cost is not shown: {'; '.join(error.errors)}")
    return Configured(viewer, manager, ledger, (*remarks, *viewer_remarks(config)), costs)
