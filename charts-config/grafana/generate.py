"""Writes the dashboards from the sources here: `python charts-config/grafana/generate.py [FOLDER]`.

Built with Grafana's own SDK for version 10.1, so they can be imported into that and later ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cloud_costs
import usage_quotas
import usage_quotas_health
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

DASHBOARDS = {
    "cloud-costs.json": cloud_costs.build,
    "cloud-costs-groups.json": cloud_costs.build_groups,
    "cloud-costs-users.json": cloud_costs.build_users,
    "usage-quotas.json": usage_quotas.build,
    "usage-quotas-health.json": usage_quotas_health.build,
}


def text_of(made: Dashboard) -> str:
    """A dashboard as Grafana imports it, with a number for every panel."""
    built = made.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built) + "\n"


def main() -> None:
    """Write all of them into a folder."""
    here = Path(__file__).parent / "dashboards"
    folder = Path(sys.argv[1]) if sys.argv[1:] else here
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in DASHBOARDS.items():
        (folder / name).write_text(text_of(build()), encoding="utf-8")


if __name__ == "__main__":
    main()
