"""The scopes that everybody gets for the Hub's endpoints, whatever an admin has declared."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config

from jupyterhub_usage_quotas.hub.api.access import give_scopes

READ = "custom:usage-quotas:read"
SWITCH = "custom:usage-quotas:switch"


def given(*roles: dict[str, Any], **more: Any) -> JupyterHub:
    app = JupyterHub(config=Config(JupyterHub={"load_roles": [*roles], **more}))
    before = copy.deepcopy(app.config)
    give_scopes(app)
    give_scopes(app)
    assert app.config == before, "promise 11"
    return app


def of_role(app: JupyterHub, name: str) -> list[str]:
    (role,) = [one for one in app.load_roles if one["name"] == name]
    return role["scopes"]


def test_servers_keep_what_they_have():
    assert of_role(given(), "server") == [
        "users:activity!user",
        "access:servers!server",
        f"{READ}!user",
        f"{SWITCH}!server",
    ]


def test_users_keep_what_they_have():
    app = given()
    assert set(app.extra_user_scopes) == {f"{READ}!user", f"{SWITCH}!user"}


@pytest.mark.parametrize("role", ["server", "user"])
def test_a_role_that_an_admin_redefined_keeps_that(role):
    app = given({"name": role, "scopes": ["self", "list:users"], "description": "Theirs."})
    (found,) = [one for one in app.load_roles if one["name"] == role]
    assert found["scopes"][:3] == ["self", "list:users", f"{READ}!user"]
    assert found["description"] == "Theirs."


def test_a_scope_that_an_admin_declared_stays_as_it_is():
    theirs = {"description": "Whatever."}
    app = given(custom_scopes={READ: theirs, "custom:other": theirs})
    assert app.custom_scopes[READ] == theirs
    assert set(app.custom_scopes) == {READ, SWITCH, "custom:other"}
