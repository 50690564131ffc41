"""The options of the session log: no Prometheus is needed where usage comes from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.metering.sources.session_log import SessionLog

STORAGE = {"resource": "storage", "limit": "1 GiB", "scope": {"everyone": True}}
LICENCE = {"licence": {"promql": "x", "unit": "licence", "display_name": "Licences"}}


def made(policy: object = (), **options: object) -> QuotaOptions:
    config = Config()
    config.UsageConfig.usage_source = "sessions"
    config.UsageConfig.update(options)
    config.UsageQuotaManager.policy = list(policy)  # type: ignore[call-overload]
    return QuotaOptions(config=config)


def test_nothing_else_has_to_be_set(tmp_path: Path):
    quotas = made(ledger_url=f"sqlite:///{tmp_path / 'log.sqlite'}")
    assert (quotas.prometheus_url, quotas.has_prometheus) == ("", False)
    assert quotas.source_name == "the session log, which the Hub keeps itself"
    assert quotas.make_gauges() == []
    (log,) = quotas.make_session_logs()
    assert isinstance(log, SessionLog)
    assert "log.sqlite" in log.identity


def test_a_prometheus_may_be_there_all_the_same(monkeypatch: pytest.MonkeyPatch):
    quotas = made([STORAGE], prometheus_url="http://p:9090", resources=LICENCE)
    assert [one.resource for one in quotas.make_gauges()] == ["storage"]
    monkeypatch.setenv("JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL", "http://q:9090")
    assert made([STORAGE]).prometheus_url == "http://q:9090"


@pytest.mark.parametrize(
    ("options", "policy", "says"),
    [
        ({"resources": LICENCE}, [], "the URL of the Prometheus that has the resource 'licence'"),
        ({}, [STORAGE], "prometheus_url: is empty, but a policy limits storage"),
        ({"usage_source": "hub", "prometheus_url": ""}, [], "usage_source 'hub' needs it"),
        ({"session_heartbeat": 400}, [], "stale_after does not go with session_heartbeat"),
        ({"sessions_kept": 1}, [], "sessions_kept"),
        (
            {"sessions_kept": 86400},
            [{"resource": "time", "limit": "9h", "window": 7, "scope": {"everyone": True}}],
            "sessions_kept: is shorter than the longest window",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(options, policy, says):
    with pytest.raises(ConfigurationError) as refused:
        made(policy, **options)
    assert says in str(refused.value)


def test_without_a_database_there_is_no_log():
    with pytest.raises(ConfigurationError, match="the session log is kept in the ledger's"):
        made().make_meter()
