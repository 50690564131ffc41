"""Nothing of ours makes the Hub's dictionary of users before the Hub does: it would have none of
the Hub's settings, and no server could start.
"""

from __future__ import annotations

import ast

from jupyterhub.app import JupyterHub

from jupyterhub_usage_quotas.hub.users import users_of
from tests.support.guarding import MadeUpHub
from tests.support.paths import ROOT


def test_a_hub_that_starts_has_no_users_yet():
    app = JupyterHub()
    assert users_of(app) == []
    assert not app.trait_has_value("users")


async def test_the_guard_looks_at_a_hub_that_starts_and_makes_no_users():
    made, starting = MadeUpHub(), JupyterHub()
    starting.db = made.app.db
    made.app = starting
    await made.watch().refreshed(made.now)
    assert not starting.trait_has_value("users")


def test_all_that_runs_while_the_hub_starts_looks_at_users_in_one_way():
    """What is called by requests and scrapes alone comes after that."""
    later = {"hub/setup.py", "hub/users.py"}
    found = set()
    for path in (ROOT / "jupyterhub_usage_quotas/hub").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for one in ast.walk(tree):
            if isinstance(one, ast.Attribute) and one.attr == "users":
                owner = ast.unparse(one.value)
                if owner.endswith("app"):
                    found.add(str(path.relative_to(ROOT / "jupyterhub_usage_quotas")))
    assert found <= later
