"""The cost monitor as its own process, as admins start it: a bill over HTTP, daily usage."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal
from functools import partial

import httpx

from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from tests.support import account
from tests.support.cost_explorer import cost_explorer
from tests.support.cost_monitor import OCTOBER, TOKEN
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.programs import Program
from tests.support.visitor import Visitor

CONFIGURATION = """
c.CostMonitor.sources = ["aws"]
c.CostMonitor.cluster_name = "campus"
c.CostMonitor.ledger_url = "sqlite:///{folder}/costs.sqlite"
c.CostMonitor.own_database = True
c.CostMonitor.reach_days = 90
c.CostMonitor.prices = {prices}
c.CostMonitor.port = {port}
c.CostMonitor.token = "{token}"
c.UsageConfig.prometheus_url = "http://127.0.0.1:9"
"""


async def kept(url: str) -> None:
    database = Database(parse_ledger_url(url), upgrade=True)
    await account.keep_usage(UsageStore(database))
    await database.aclose()


def test_a_month_over_http(tmp_path):
    port = free_port()
    asyncio.run(kept(f"sqlite:///{tmp_path}/costs.sqlite"))
    file = tmp_path / "config.py"
    file.write_text(
        CONFIGURATION.format(folder=tmp_path, prices=account.PRICES, port=port, token=TOKEN)
    )
    module = "jupyterhub_usage_quotas.services.cost_monitor"
    command = [sys.executable, "-m", module, f"--config-files={file}"]
    log = tmp_path / "cost_monitor.log"
    with cost_explorer(account.charges()), Program(command, log, directory=ROOT) as program:
        program.wait_for_url(f"http://127.0.0.1:{port}/health/ready")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as http:
            answers = partial(http.get, "/costs-per-user", params=OCTOBER)
            Visitor.wait_until(lambda: answers().status_code != 503)  # while it reads the bill
            answer = answers()
            rows = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)
            assert sum(row["value"] for row in rows) == Decimal("681.78")
            ada = sum(row["value"] for row in rows if row["user"] == "ada")
            assert ada == Decimal("156.8")
            assert http.get("/nowhere").status_code == 404
    # A Prometheus that does not answer is said, and is nobody's failure else.
    assert "Daily usage is not read" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_what_is_wrong_in_its_configuration_is_said_at_once(tmp_path):
    file = tmp_path / "config.py"
    file.write_text("c.CostMonitor.sources = ['aws']\n")
    module = "jupyterhub_usage_quotas.services.cost_monitor"
    command = [sys.executable, "-m", module, "-f", str(file)]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    said = done.stderr
    assert "cluster_name" in said
    assert "ledger_url" in said
    assert os.fspath(tmp_path) not in said
