"""The older, launch-only package, in an environment of its own: PYTHON -I peer.py URL NAMESPACE.

Its code is called as its hook and its timer do. The list of users, which its timer requests from
the Hub, is given to it.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import sys
from pathlib import Path

from jupyterhub_usage_quotas.manager import UsageQuotaManager
from jupyterhub_usage_quotas.metrics import MetricsExporter
from prometheus_client import REGISTRY, generate_latest

sys.path.append(str(Path(__file__).parent))
from asking import GROUP, POLICIES, serve


class Peer:
    """See `asking.Side`. It reads nothing beforehand."""

    def __init__(self, url: str, namespace: str) -> None:
        self._options = {
            "prometheus_url": url,
            "hub_namespace": namespace,
            "policy": POLICIES,
            "metrics_exporter_token": "of nothing",
        }
        self._manager: UsageQuotaManager | None = None
        self._exporter: MetricsExporter | None = None

    async def begin(self, **_options: object) -> None:
        if self._manager:
            await self._manager.prometheus_client.close()
        # It writes into the policies that it is given, and refuses them then.
        self._manager = UsageQuotaManager(**copy.deepcopy(self._options))

    async def prepare(self) -> None:
        pass

    async def launch(self, user: str) -> float:
        return (await self._manager.enforce(user, [GROUP]))["quota"]["pure_used"]

    async def refresh(self, users: list[str]) -> int:
        # Its metrics are registered once.
        self._exporter = self._exporter or MetricsExporter(self._manager)
        self._exporter.quota_manager = self._manager

        async def of_the_hub() -> list:
            return [(user, [GROUP]) for user in users]

        self._exporter._get_usernames_and_usergroups = of_the_hub
        await self._exporter.update_usage_quota_metrics()
        return len(generate_latest(REGISTRY))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(serve(Peer(*sys.argv[1:3])))
