"""A second gauge: what is in users' buckets of an object storage, whose exporter knows quotas."""

from __future__ import annotations

from typing import Any

from jupyterhub_usage_quotas.config.gauges import GaugeKind
from jupyterhub_usage_quotas.metering.sources.base import GaugeSource
from jupyterhub_usage_quotas.metering.sources.exported_gauge import ExportedGauge
from jupyterhub_usage_quotas.quotas.resource import Resource
from jupyterhub_usage_quotas.quotas.resources import RESOURCES

OBJECTS = Resource(
    "objects",
    "Object storage",
    amounts=RESOURCES["memory"].amounts,
    example="10 GiB",
    shown_in=RESOURCES["memory"].shown_in,
    over_time=False,
    by_server=False,
    is_gauge=True,
    freeing="Delete objects that you no longer need.",
)


def make(_options: Any) -> GaugeSource:
    """The source: a bucket for each user."""
    return ExportedGauge(
        "object storage",
        OBJECTS.name,
        "bucket_size_bytes",
        "bucket_quota_bytes",
        "bucket",
        "",
        "home-of-{}".format,
        "buckets",
    )


OBJECT_STORAGE = GaugeKind(OBJECTS.name, make, switch="object_storage")
