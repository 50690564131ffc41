"""This package: python -m benchmarks.sides.ours URL NAMESPACE."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from traitlets.config import Config

from benchmarks.sides.asking import GROUP, POLICIES, serve
from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.hub.metrics.exported import Exported
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.members import NO_MEMBERS
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from tests.support.decisions import decided_by

HOUR = 3600
TRIES = 5
RATES = {"memory": 2.0**30, "cpu": 1.0, "time": 1.0}


class Ours:
    """See `asking.Side`."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url, self._namespace = url, namespace
        self._manager: UsageQuotaManager | None = None
        self._registry = CollectorRegistry()

    async def begin(
        self,
        *,
        policies: list[dict[str, object]] = POLICIES,
        source: str = "kube-state-metrics",
        patience: float = 0.0,
    ) -> None:
        if self._manager:
            await self._manager.meter.aclose()
        config = Config()
        config.UsageConfig.prometheus_url = self._url
        config.UsageConfig.hub_namespace = self._namespace
        config.UsageConfig.usage_source = source
        config.UsageConfig.state_dir = ""
        if patience:
            config.UsageConfig.deadline = config.UsageConfig.request_timeout = patience
        config.UsageQuotaManager.policy = policies
        manager = self._manager = UsageQuotaManager(config=config)
        self._snapshot = StatusSnapshot(manager.policies, manager.meter, manager.ledger)
        self._registry = CollectorRegistry()
        exported = Exported(self._snapshot, self._namespace, everybody=True)
        gauges = UsageGauges(exported.rows, manager.policies, self._namespace)
        self._registry.register(gauges)

    async def prepare(self) -> None:
        # As often as the Hub would in some minutes: what was too much is less then.
        for _ in range(TRIES):
            await self._manager.meter.read_history(self._manager.policies.reach)
            if self._manager.meter.complete:
                return
        raise AssertionError(self._manager.meter.problems)

    async def launch(self, user: str) -> float:
        request = Request(Subject(user, frozenset({GROUP})), rates=RATES)
        decision = await decided_by(self._manager, request)
        of_memory = next(one for one in decision.verdicts if one.allotment.resource == "memory")
        if of_memory.used is None:
            raise LookupError("usage is not known: failover decides")
        return of_memory.used / HOUR

    async def refresh(self, users: list[str]) -> int:
        await self._manager.meter.refresh(self._manager.policies.reach)
        assert not self._manager.meter.problems, self._manager.meter.problems
        subjects = [Subject(user, frozenset({GROUP})) for user in users]
        await self._snapshot.rebuild(subjects, NO_MEMBERS, datetime.now(UTC))
        return len(generate_latest(self._registry))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(serve(Ours(*sys.argv[1:3])))
