"""Selectors, pools, credits, an admin's own resource and calendars, from the configuration to the
decision, over a real Prometheus: through the command line and through the manager.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.files.loading import load_config
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.quotas.adjustments import Grant
from jupyterhub_usage_quotas.quotas.decide import Outcome, Request
from jupyterhub_usage_quotas.quotas.subject import Subject
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.decisions import decided_by
from tests.support.forked import run_command
from tests.support.programs import Span
from tests.support.recorded import NOW, instant

POLICIES: list[dict[str, Any]] = [
    {
        "name": "gpu budget",
        "resource": "time",
        "limit": "2 hours",
        "window": 1,
        "scope": {"user": ["ada"]},
        "servers": {"gpu": True},
    },
    {
        "name": "big profiles",
        "resource": "memory",
        "limit": "100 GiB-hours",
        "window": 1,
        "scope": {"user": ["ada"]},
        "servers": {"profile": ["Big *", "huge"]},
    },
    {
        "name": "project",
        "resource": "cpu",
        "limit": "5 CPU-hours",
        "window": 1,
        "scope": {"group": [{"glob": "project-*"}]},
        "share": "pooled",
        "overflow": "individual",
    },
    {
        "name": "own cpu",
        "resource": "cpu",
        "limit": "4 CPU-hours",
        "window": 1,
        "scope": {"group": [{"glob": "project-*"}]},
    },
    {
        "name": "credits",
        "resource": "credits",
        "limit": "100 credits",
        "window": {"refill": 1, "every": "1 hour"},
        "scope": {"user": ["ada"]},
    },
    {
        "name": "licences",
        "resource": "licence",
        "limit": "10 licence-hours",
        "window": 1,
        "scope": {"user": ["ada", "bob$1"]},
        "when_exhausted": "warn",
    },
]


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - 24 * HOUR, NOW)
    # One hour each of one-minute samples, thanks to the look-back; three hours with a GPU.
    start = NOW - 5 * HOUR + 60
    yield from Pod(
        "ada", start, start + 3 * HOUR - 120, "jupyter-ada--train", "1",
        memory=4 * GIB, cpu=1, gpus=1, server="train", profile="gpu-large",
        profile_name="GPU, large",
    ).spans  # fmt: skip
    yield from Pod(
        "ada", start, start + HOUR - 120, "jupyter-ada", "2",
        memory=16 * GIB, cpu=2, profile="big", profile_name="Big memory",
    ).spans  # fmt: skip
    # The project: bob and cleo each use four CPU-hours, one after the other.
    for username, begin in (("bob$1", NOW - 10 * HOUR + 60), ("cleo", NOW - 8 * HOUR + 60)):
        yield from Pod(
            username, begin, begin + 2 * HOUR - 120, f"jupyter-{username[:3]}", username, cpu=2
        ).spans
    for username, amount in (("ada", 3.0), ("bob$1", 4.0)):
        labels = {"username": username, "licence": "matlab"}
        yield Span("licences_in_use", labels, start, start + 3 * HOUR - 120, amount)


@pytest.fixture(scope="module")
def config_file(serve_history: Callable[..., str], tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("config") / "jupyterhub_config.py"
    options = {
        "UsageConfig": {
            "prometheus_url": serve_history(history()),
            "hub_namespace": NAMESPACE,
            "stale_after": 7200.0,
            "credit_prices": {"cpu": 1, "memory": 0.25, "gpu": 10},
            "resources": {
                "licence": {
                    "promql": 'sum by (username) (licences_in_use{licence="matlab"})',
                    "unit": "licence",
                    "display_name": "MATLAB licences",
                }
            },
        },
        "UsageQuotaManager": {"policy": POLICIES, "failover_open": False},
    }
    path.write_text(
        f"c = get_config()\nfor section, options in {options!r}.items():\n"
        "    c[section].update(options)\n"
    )
    return path


def check(config: Path, *arguments: str) -> dict[str, Any]:
    done = run_command("check", "--config", config, "--json", *arguments)
    assert done.returncode in (0, 3), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["failover"] is None, said["failover_detail"]
    said["by_policy"] = {verdict["policy"]: verdict for verdict in said["verdicts"]}
    return said


def test_an_exhausted_gpu_budget_leaves_other_servers_startable(config_file):
    cpu = check(config_file, "--user", "ada")
    assert cpu["by_policy"]["gpu budget"]["used"] == pytest.approx(3)
    assert cpu["by_policy"]["gpu budget"]["applies"] is False
    assert cpu["allow_server_launch"] is True
    assert cpu["lasts_seconds"] is None
    gpu = check(config_file, "--user", "ada", "--server-gpu", "1")
    assert gpu["allow_server_launch"] is False
    # By hand: one of three hours must leave a window of a day.
    retry = datetime.fromisoformat(gpu["retry_time"]).timestamp()
    assert retry == pytest.approx(NOW - 5 * HOUR + HOUR + 24 * HOUR, abs=120)


def test_a_profile_counts_by_its_display_name(config_file):
    said = check(config_file, "--user", "ada", "--profile-name", "Big memory")
    assert said["by_policy"]["big profiles"]["used"] == pytest.approx(16)
    assert said["by_policy"]["big profiles"]["applies"] is True


def test_credits_are_the_price_of_what_was_used(config_file):
    """By hand: 3 h of 1 CPU, 4 GiB and a GPU cost 12 an hour, 1 h of 2 CPU and 16 GiB costs 6;
    a credit comes back at each whole hour.
    """
    began = time.time()
    said = check(config_file, "--user", "ada")["by_policy"]["credits"]
    ended = time.time()
    assert said["unit"] == "credits"
    # A server of 60 CPUs costs a credit a minute.
    lasts = check(config_file, "--user", "ada", "--server-cpu", "60")["lasts_seconds"]
    assert said["remaining"] * 60 - 120 <= lasts <= (said["remaining"] + 2) * 60
    # At 18 credits an hour: the first whole hour may come before one was used, and less comes back.
    start = NOW - 5 * HOUR
    first = min(1, 18 * (HOUR - start % HOUR) / HOUR)
    # A whole hour may pass while it is decided.
    back = {round(now // HOUR - start // HOUR - 1 + first, 6) for now in (began, ended)}
    assert round(3 * 12 + 6 - said["used"], 6) in back


def test_an_admins_own_resource_warns_and_never_denies(config_file):
    said = check(config_file, "--user", "bob$1")
    licences = said["by_policy"]["licences"]
    assert (licences["used"], licences["unit"]) == (pytest.approx(12), "licence-hours")
    assert (licences["fits"], licences["when_exhausted"]) == (False, "warn")
    assert said["allow_server_launch"] is True


@pytest.mark.parametrize(("user", "allowed", "own"), [("bob$1", True, 0), ("cleo", True, 3)])
def test_a_pool_pays_first_and_the_rest_falls_to_the_member(config_file, user, allowed, own):
    """By hand: of eight CPU-hours the pool pays the first five, so cleo pays three herself."""
    arguments = ("--group", "project-x", "--member", "bob$1", "--member", "cleo")
    said = check(config_file, "--user", user, *arguments)
    assert said["by_policy"]["project"]["used"] == pytest.approx(5)
    assert said["by_policy"]["project"]["fits"] is False
    assert said["by_policy"]["own cpu"]["used"] == pytest.approx(own, abs=1e-6)
    assert said["allow_server_launch"] is allowed


def test_the_table_shows_what_applies(config_file):
    done = run_command("check", "--config", config_file, "--user", "ada")
    row = next(line for line in done.stdout.splitlines() if line.startswith("gpu budget"))
    assert "(other servers)" in row


async def test_a_grant_from_the_ledger_allows_what_was_denied(config_file):
    manager = manager_of(config_file)
    request = Request(Subject("ada"), rates={"time": 1.0, "gpu": 1.0})
    assert (await decided_by(manager, request)).outcome is Outcome.DENIED
    until = datetime.now(UTC) + timedelta(hours=1)
    grant = Grant("gpu budget", instant(NOW - HOUR), until, user="ada", amount=2 * HOUR)
    await manager.aclose()
    manager = manager_of(config_file, ledger=MemoryLedger([grant]))
    assert (await decided_by(manager, request)).outcome is Outcome.ALLOWED
    await manager.aclose()


async def test_readings_of_everyone(config_file):
    """A pool of everyone is read without naming anybody, and who used nothing is in it, too."""
    everyone = Config()
    everyone.UsageConfig.update(load_config(config_file)[0].UsageConfig)
    everyone.UsageQuotaManager.policy = [
        {
            "name": "all",
            "resource": "cpu",
            "limit": "13 CPU-hours",
            "window": 1,
            "scope": {"everyone": True},
            "share": "pooled",
        }
    ]
    pool = UsageQuotaManager(config=everyone)
    for user in ("ada", "somebody new"):
        decision = await decided_by(pool, Request(Subject(user)), members={"all": None})
        # 3 + 2 of ada, 4 of bob, 4 of cleo
        assert decision.verdicts[0].used == pytest.approx(13 * HOUR)
        assert decision.outcome is Outcome.DENIED
    await pool.aclose()


def manager_of(path: Path, **more: Any) -> UsageQuotaManager:
    return UsageQuotaManager(config=load_config(path)[0], **more)
