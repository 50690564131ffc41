"""Every query of the dashboards of costs, as Grafana sends it, is answered with what its panel
shows; and so are those of the dashboards that 2i2c's cost monitoring has.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support import account
from tests.support.cost_explorer import cost_explorer
from tests.support.cost_monitor import cost_monitor
from tests.support.expressions import COST_DASHBOARDS, panels

SPAN = {"${__from:date}": "2026-10-01T00:00:00.000Z", "${__to:date}": "2026-10-31T23:59:59.999Z"}
ALL = {**SPAN, "${hub:glob}": "All", "${component:glob}": "All", "${limit}": "20"}
SOME = {**SPAN, "${hub:glob}": "{prod,staging}", "${component:glob}": "compute", "${limit}": ""}

THEIRS = {
    "/total-costs": ["date", "name", "cost"],
    "/total-costs-per-hub": ["date", "cost", "name"],
    "/total-costs-per-component&component=home%20storage&hub={prod,staging}": [
        *("date", "cost", "component")
    ],
    "/total-costs-per-group": ["date", "cost", "usergroup"],
    "/costs-per-user&hub=All&component=all&limit=": [
        *("date", "value", "user", "usergroup", "component")
    ],
    "/costs-per-user&usergroup={maths,physics}": ["date", "value", "user", "usergroup"],
    "/users-with-multiple-groups": ["username", "hub", "usergroup"],
}
"""The addresses and columns of 2i2c's dashboards."""


def address(url: str, variables: dict[str, str]) -> str:
    for name, value in variables.items():
        url = url.replace(name, quote(value, safe=""))
    assert "$" not in url, url
    return url.lstrip("/")


def rows_of(document: Any, root: str) -> list[dict[str, Any]]:
    return document[root] if root else document


async def test_every_query_is_answered_with_its_columns(tmp_path):
    charges = account.charges()
    with cost_explorer(charges):
        async with cost_monitor(tmp_path) as served:
            await served.ask_sources()
            for path in COST_DASHBOARDS:
                document = json.loads(path.read_text())
                for panel in panels(document):
                    (target,) = panel["targets"]
                    for variables in (ALL, SOME):
                        answer = await served.http.get(address(target["url"], variables))
                        assert answer.status_code == 200, (panel["title"], answer.text)
                        rows = rows_of(answer.json(), target["root_selector"])
                        assert rows, panel["title"]
                        for column in target["columns"]:
                            assert column["selector"] in rows[0], (panel["title"], column)
                for one in document["templating"]["list"]:
                    if one["type"] == "query":
                        query = one["query"]["infinityQuery"]
                        answer = await served.http.get(address(query["url"], ALL))
                        assert answer.json()
                        assert all(isinstance(name, str) for name in answer.json())
            for url, columns in THEIRS.items():
                path, _, more = url.partition("&")
                answer = await served.http.get(
                    address(f"{path}?from=${{__from:date}}&to=${{__to:date}}&{more}", SPAN)
                )
                assert answer.status_code == 200, answer.text
                assert set(columns) <= answer.json()[0].keys()


@pytest.mark.parametrize("path", COST_DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_works_with_any_data_source(path):
    document = json.loads(path.read_text())
    chosen = {"type": "yesoreyeram-infinity-datasource", "uid": "${INFINITY_DS}"}
    variables = {one["name"]: one for one in document["templating"]["list"]}
    assert variables["INFINITY_DS"]["type"] == "datasource"
    for panel in panels(document):
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
    assert document["timezone"] == "utc"
    assert "jupyterhub" in document["tags"]
