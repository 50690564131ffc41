"""Home directories as exporters tell of them: jupyterhub-home-nfs, and prometheus-dirsize-exporter,
which knows sizes only. Both look every 30 seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.programs import Span

from .cluster import GIB, HOUR, NAMESPACE
from .recorded import NOW

EVERY = 30


def told(
    directory: str,
    gib: float,
    limit: float | None = None,
    *,
    exporter: str = "home-nfs",
    until: int = NOW,
    since: int = NOW - 2 * HOUR,
    namespace: str | None = NAMESPACE,
) -> Iterator[Span]:
    """What one exporter tells of a directory, in GiB; a limit of 0 is none, None is not told."""
    labels = {"directory": directory, "instance": f"{exporter}:1", "job": exporter}
    if namespace is not None:
        labels["namespace"] = namespace
    yield Span("dirsize_total_size_bytes", labels, since, until, float(gib * GIB), EVERY)
    if limit is not None:
        yield Span("dirsize_hard_limit_bytes", labels, since, until, float(limit * GIB), EVERY)
