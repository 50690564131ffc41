"""What it cost, on our own pages: a Hub that declares the cost monitor itself, with the month of
the made-up account; users see their own, group owners their group's, admins the whole bill.
"""

from __future__ import annotations

import asyncio
import csv
import io
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from jupyterhub_usage_quotas.costs.cost_store import CostStore
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from tests.support import account
from tests.support.hub import running_hub
from tests.support.ports import free_port
from tests.support.visitor import Visitor, text_of

pytestmark = pytest.mark.waits

TOKEN = "made-up-5c1e77b09a4d4f2e8d63a1b7"
CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.hub_namespace = "cost-pages"
c.UsageConfig.usage_source = "sessions"
c.UsageConfig.prices = {{"memory": 1.0, "cpu": 4.0, "storage": 0.04}}
c.UsageQuotaManager.policy = [
    {{"resource": "cost", "limit": "20 USD", "window": 7, "scope": {{"everyone": True}}}}
]
c.UsageQuotaManager.may_grant = {{"tutors": ["maths"]}}
c.CostMonitor.enabled = True
c.CostMonitor.host = "127.0.0.1"
c.CostMonitor.port = {port}
c.CostMonitor.token = "{token}"
c.CostMonitor.sources = ["focus"]
c.CostMonitor.focus_files = ["nothing/*.csv"]
c.CostMonitor.hubs = {{"prod": "cost-pages"}}
c.Authenticator.admin_users = {{"root"}}
c.JupyterHub.load_groups = {{
    "tutors": {{"users": ["tina"]}},
    "maths": {{"users": ["ada"]}},
    "physics": {{"users": ["ada", "bob"]}},
}}
c.Spawner.mem_guarantee = "2G"
"""


async def fill(folder: Path) -> None:
    """October: 8 a day for machines, 2 for homes, 3 for the cluster, 4 outside of it."""
    url = parse_ledger_url(f"sqlite:///{folder / 'usage-quotas.sqlite'}")
    database = Database(url, upgrade=True)
    usage, costs = UsageStore(database), CostStore(database)
    await account.keep_usage(usage)
    charged = [("prod", "compute", 8), ("prod", "home storage", 2), ("", "core", 3)]
    rows = [
        CostRow(day, hub, component, Decimal(cost), "USD")
        for day in account.DAYS
        for hub, component, cost in (*charged, (None, "compute", 4))
    ]
    await costs.write("focus", rows, dict.fromkeys(account.DAYS, True), account.NOW)
    await database.aclose()


def page(visitor: Visitor, path: str = "", **query: str) -> httpx.Response:
    return visitor.http.get(f"/services/usage-quota/{path}", params=query)


@pytest.fixture
def hub(tmp_path):
    asyncio.run(fill(tmp_path))
    port = free_port()
    config = CONFIG.format(port=port, token=TOKEN)
    with running_hub(tmp_path, "6", config, free_port()) as made:
        yield made, port


def test_everybody_sees_of_the_bill_what_is_theirs_to_see(hub):
    made, port = hub
    # Ada's 3 and bob's 5 of each 8; of the homes 90 and 9 hundredths.
    of_ada = Visitor(made.url, "ada")
    Visitor.wait_until(lambda: page(of_ada).is_success)
    Visitor.wait_until(lambda: "October 2026" in text_of(page(of_ada)))
    said = text_of(page(of_ada))
    # 31 days of 3 for machines, and of 1.80 for homes.
    assert "148.80 USD Servers 93.00 USD; Home storage 55.80 USD" in said
    assert page(of_ada, "costs").status_code == 404
    assert '/costs"' not in page(of_ada).text
    # Who may give to maths sees it: half of ada, who is in physics, too.
    of_tina = Visitor(made.url, "tina")
    said = text_of(page(of_tina, "costs", month="2026-10"))
    assert "maths 74.40 USD" in said
    assert "ada 148.80 USD" in said
    assert "physics" not in said
    assert "bob" not in said
    assert "Bill" not in said
    # An admin sees the whole bill, which both tables add up to.
    of_root = Visitor(made.url, "root")
    assert '/costs"' in page(of_root).text
    said = text_of(page(of_root, "costs", month="2026-10"))
    assert "Bill: 527.00 USD" in said
    assert "Not known whose" in said
    answer = page(of_root, "costs", month="2026-10", format="csv")
    lines = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))
    for by in ("group", "user"):
        assert sum(Decimal(one["total"]) for one in lines if one["by"] == by) == 527
    users = {one["name"]: one["total"] for one in lines if one["kind"] == "user"}
    assert Decimal(users["bob"]) == Decimal("160.58")
    for wrong in ("2026-13", "<b>", "2026", "2099-01"):
        assert page(of_root, "costs", month=wrong).status_code == 400
    # The cost monitor that the Hub runs itself says the same to Grafana.
    address = f"http://127.0.0.1:{port}/total-costs-per-hub"
    sent = {"Authorization": f"token {TOKEN}"}
    october = {"from": "2026-10-01", "to": "2026-10-31"}
    answer = httpx.get(address, params=october, headers=sent)
    assert sum(Decimal(str(row["cost"])) for row in answer.json()) == 527
    assert httpx.get(address, params=october).status_code in (401, 403)
