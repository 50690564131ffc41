"""What `setup_usage_quotas` tells the Hub about the viewer, whatever an admin has declared."""

from __future__ import annotations

import copy
import json
import logging
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.roles import get_default_roles
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.viewer_service import GrantedAsMeant, declare_viewer
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.metering.coverage import covered_everywhere
from jupyterhub_usage_quotas.metering.snapshot import UsageSnapshot
from jupyterhub_usage_quotas.metering.sources.base import UsageSegment
from jupyterhub_usage_quotas.services.viewer.configuration import read_configuration
from tests.support.decided import LEDGER, make_ledger

READ = "custom:usage-quotas:read"
GRANT = "custom:usage-quotas:grant"
ACCESS = "access:services!service=usage-quota"
MODULE = "jupyterhub_usage_quotas.services.usage_viewer"
WRITTEN = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
POLICY = {
    "resource": "cpu",
    "limit": "5 CPU-hours",
    "window": 7,
    "scope": {"group": {"b", "a"}},
}


def declared(**sections: Any) -> JupyterHub:
    """A Hub with this configuration, after the viewer was declared to it."""
    sections.setdefault("UsageQuotaManager", {"policy": [POLICY]})
    app = JupyterHub(config=Config(sections))
    before = copy.deepcopy(app.config)
    declare_viewer(app, UsageQuotaManager(parent=app, config=app.config))
    assert app.config == before, "promise 11"
    return app


def viewer_of(app: JupyterHub) -> dict[str, Any]:
    (found,) = [one for one in app.services if one["name"] == "usage-quota"]
    return found


def environment_of(spec: dict[str, Any]) -> dict[str, str]:
    """The environment that the service will have."""
    return {
        name: value(None) if callable(value) else value
        for name, value in spec["environment"].items()
    }


def scopes_of(app: JupyterHub, role: str) -> list[str]:
    """The scopes that a default role will have, as the Hub puts them together."""
    usual = next(one for one in get_default_roles() if one["name"] == role)["scopes"]
    written = [one for one in app.load_roles if one["name"] == role]
    if not written or "scopes" not in written[0]:
        more = app.extra_user_scopes if role == "user" else []
        return [*usual, *more]
    return written[0]["scopes"]


def test_alone_it_declares_everything():
    app = declared()
    viewer = viewer_of(app)
    assert viewer["command"][1:] == ["-m", MODULE]
    assert viewer["url"].startswith("http://127.0.0.1:")
    assert viewer["oauth_no_confirm"] is True
    assert viewer["oauth_client_allowed_scopes"] == [READ, GRANT]
    assert set(app.custom_scopes) == {READ, GRANT}
    assert set(scopes_of(app, "user")) == {"self", f"{READ}!user", ACCESS}
    assert {f"{READ}!user", ACCESS, "users:activity!user"} <= set(scopes_of(app, "server"))
    (role,) = [one for one in app.load_roles if one.get("services") == ["usage-quota"]]
    assert {"list:users", "read:users:groups", "read:users:name"} == set(role["scopes"])


def test_with_a_ledger_it_has_the_same_and_knows_when_users_were_made():
    app = declared(UsageQuotaManager={"policy": [POLICY], "ledger_factory": make_ledger})
    configured = read_configuration(environment_of(viewer_of(app)), [])
    assert configured.manager.ledger_factory == LEDGER
    assert isinstance(configured.ledger, MemoryLedger)
    (role,) = [one for one in app.load_roles if one.get("services") == ["usage-quota"]]
    without = {"list:users", "read:users:groups", "read:users:name"}
    assert set(role["scopes"]) == without | {"read:users"}


def test_a_ledger_without_a_name_is_the_hubs_alone_and_that_is_said():
    rules = {"policy": [POLICY], "ledger_factory": partial(MemoryLedger)}
    app = JupyterHub(config=Config(UsageQuotaManager=rules))
    (line,) = declare_viewer(app, UsageQuotaManager(parent=app, config=app.config))
    assert "cannot read the ledger" in line
    assert read_configuration(environment_of(viewer_of(app)), []).ledger is NO_LEDGER


def test_the_service_knows_what_the_hub_knows():
    app = declared(
        UsageConfig={
            "prometheus_url": "http://p:9090",
            "prometheus_auth": {"username": "u", "password": "pw"},
            "gpu_resources": ["x/gpu"],
            "credit_prices": {"cpu": 2},
        },
        UsageQuotaManager={
            "policy": [POLICY],
            "hub_namespace": "on-the-manager",
            "scope_backup_strategy": {
                "empty": {"resource": "memory", "limit": "5G", "window": 1},
                "intersection": "sum",
            },
            "failover_open": False,
            "enforcement": "shadow",
            "contact": "me",
        },
        UsageViewer={"session_secret_key": "a s3cret of many characters"},
        JupyterHub={
            "template_paths": ["/srv/templates"],
            "template_vars": {"announcement": "x", "f": lambda user: user},
        },
    )
    configured = read_configuration(environment_of(viewer_of(app)), [])
    hubs = UsageQuotaManager(config=app.config)
    assert configured.manager.policies == hubs.policies
    for name in ("failover_open", "enforcement", "contact"):
        assert getattr(configured.manager, name) == getattr(hubs, name)
    for name in ("prometheus_url", "prometheus_auth", "hub_namespace", "credit_prices"):
        assert getattr(configured.viewer, name) == getattr(hubs, name)
    assert configured.viewer.gpu_resources == ["x/gpu"]
    assert configured.viewer.session_secret == "a s3cret of many characters"
    assert configured.viewer.template_paths == ["/srv/templates"]
    assert configured.viewer.template_vars == {"announcement": "x"}


def test_what_is_handed_over_is_not_written_into_the_database():
    """JupyterHub keeps services' environments as JSON in its database, and shows specs in logs."""
    app = declared(UsageViewer={"session_secret_key": "a s3cret of many characters"})
    viewer = viewer_of(app)
    assert "s3cret" not in json.dumps(viewer["environment"])
    assert "s3cret" not in repr(viewer)
    assert any("s3cret" in value for value in environment_of(viewer).values())


def test_many_policies_fit_in_an_environment():
    """Linux takes no variable of more than 128 KiB."""
    many = [POLICY | {"name": f"{number} ü" * 20, "window": number} for number in range(1, 900)]
    app = declared(UsageQuotaManager={"policy": many})
    environment = environment_of(viewer_of(app))
    assert len(environment) > 1
    assert all(len(value.encode()) < 128 * 1024 for value in environment.values())
    assert len(list(read_configuration(environment, []).manager.policies)) == 899


SPEC = {
    "name": "usage-quota",
    "url": "http://hub:9000",
    "display": False,
    "oauth_no_confirm": True,
    "command": ["python3", "-m", MODULE, "--config-files=/x.py"],
    "environment": {"MINE": "1"},
}


def test_what_the_admin_declared_stays():
    role = {"name": "user", "scopes": ["self", ACCESS, "mine"], "users": ["a"]}
    own = {"name": "usage-quota-service", "scopes": ["read:users"], "services": ["usage-quota"]}
    other = {"name": "other", "url": "http://x"}
    app = declared(
        JupyterHub={
            "services": [other, SPEC],
            "load_roles": [own, role],
            "custom_scopes": {"custom:mine": {"description": "x"}},
        }
    )
    assert app.services[0] == other
    viewer = viewer_of(app)
    for key in ("url", "display", "oauth_no_confirm", "command"):
        assert viewer[key] == SPEC[key]
    assert viewer["environment"]["MINE"] == "1"
    assert read_configuration(environment_of(viewer), []).manager.policies
    assert own in app.load_roles
    assert set(app.custom_scopes) == {READ, GRANT, "custom:mine"}
    user = next(one for one in app.load_roles if one["name"] == "user")
    assert user == role | {"scopes": [*role["scopes"], f"{READ}!user"]}
    assert role["scopes"] == ["self", ACCESS, "mine"]


def test_another_name_is_recognised_by_what_it_runs():
    app = declared(JupyterHub={"services": [SPEC | {"name": "quotas"}]})
    assert [one["name"] for one in app.services] == ["quotas"]
    assert "access:services!service=quotas" in scopes_of(app, "user")
    assert any(one.get("services") == ["quotas"] for one in app.load_roles)


def test_an_external_service_gets_scopes_and_no_environment():
    spec = {"name": "usage-quota", "url": "http://own-pod:9000", "api_token": "t"}
    app = declared(JupyterHub={"services": [spec]})
    viewer = viewer_of(app)
    assert "environment" not in viewer
    assert viewer["oauth_client_allowed_scopes"] == [READ, GRANT]
    assert f"{READ}!user" in scopes_of(app, "user")


def test_who_may_open_it_is_the_admins_to_say():
    teachers = {"name": "teachers", "scopes": [ACCESS], "groups": ["teachers"]}
    app = declared(JupyterHub={"services": [SPEC], "load_roles": [teachers]})
    assert ACCESS not in scopes_of(app, "user")
    assert f"{READ}!user" in scopes_of(app, "user")


@pytest.mark.parametrize("more", [{}, {"users": ["a"]}])
def test_a_user_role_without_scopes_keeps_the_usual_ones(more):
    app = declared(JupyterHub={"load_roles": [{"name": "user", **more}]})
    assert {"self", ACCESS} <= set(scopes_of(app, "user"))
    (user,) = [one for one in app.load_roles if one["name"] == "user"]
    assert user == user | more


@pytest.mark.parametrize("proxy", ["ConfigurableHTTPProxy", "TraefikRedisProxy"])
def test_where_the_proxy_could_not_reach_it_it_is_not_declared(proxy):
    """As in Zero to JupyterHub, whose proxy is a pod of its own. JupyterHub stops when a service
    that it runs does not answer at its url, so one is not to be guessed.
    """
    elsewhere = {proxy: {"should_start": False}}
    app = declared(**elsewhere)
    assert (app.services, app.load_roles) == ([], [])
    (line,) = declare_viewer(app, UsageQuotaManager(parent=app, config=app.config))
    assert line.startswith("The Usage Quota Dashboard is not started: this Hub's proxy runs")
    app = declared(**elsewhere, UsageViewer={"url": "http://hub:9000"})
    assert viewer_of(app)["url"] == "http://hub:9000"
    app = declared(**elsewhere, JupyterHub={"services": [SPEC]})
    assert "environment" in viewer_of(app)


def test_switched_off_nothing_is_declared():
    app = declared(UsageViewer={"enabled": False})
    assert (app.services, app.load_roles, dict(app.custom_scopes)) == ([], [], {})


def test_an_error_in_its_options_is_one_of_the_configuration():
    with pytest.raises(ConfigurationError, match="did you mean enabled"):
        declared(UsageViewer={"enable": False})


# --- the services menu ----------------------------------------------------------------------------


def menu_of(**sections: Any) -> dict[str, dict[str, Any]]:
    """What the viewer is given of it, by service."""
    configured = read_configuration(environment_of(viewer_of(declared(**sections))), [])
    return {one["name"]: one for one in configured.viewer.services_menu}


def role(name: str, service: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "scopes": [f"access:services!service={service}"], **more}


def test_the_menu_says_who_may_open_which_service():
    services = [
        {"name": "grades", "url": "http://127.0.0.1:1"},
        {"name": "open", "url": "http://127.0.0.1:2"},
        {"name": "hidden", "url": "http://127.0.0.1:3", "display": False},
        {"name": "culler", "command": ["true"]},
    ]
    roles = [
        role("lecturers", "grades", groups=["lecturers"], users=["ann"]),
        role("user", "open"),
        role("other", "culler", users=["eve"]),
    ]
    menu = menu_of(JupyterHub={"services": services, "load_roles": roles, "base_url": "/hubs/"})
    assert set(menu) == {"grades", "open", "usage-quota"}
    assert menu["grades"] == {
        "name": "grades",
        "href": "/hubs/services/grades/",
        "everyone": False,
        "users": ["ann"],
        "groups": ["lecturers"],
    }
    assert menu["open"]["everyone"]
    assert menu["usage-quota"]["everyone"]


def test_services_with_domains_of_their_own_are_not_in_it():
    section = {"services": [{"name": "grades", "url": "http://127.0.0.1:1"}]}
    assert menu_of(JupyterHub=section | {"subdomain_host": "https://hub.example.org"}) == {}


def test_a_menu_of_the_admin_is_the_menu():
    link = {"name": "ours", "href": "/services/ours/", "everyone": True}
    assert menu_of(UsageViewer={"services_menu": [link]}) == {"ours": link}


@pytest.mark.parametrize(
    "link", [{}, {"name": "x"}, {"name": "x", "href": "javascript:alert(1)"}, {"href": "/x"}]
)
def test_a_link_that_is_none_is_refused(link):
    with pytest.raises(ConfigurationError, match="services_menu"):
        declared(UsageViewer={"services_menu": [link]})


IDENTIFYING = "read:users:name!user,access:services!service=usage-quota,read:users:groups!user"
LOGIN = (
    f"Service JupyterHub service usage-quota requested scopes {IDENTIFYING},{READ} for user live,"
    " granting only "
)


@pytest.mark.parametrize(
    ("granted", "level", "passes"),
    [
        # As JupyterHub 5 and 6 write them.
        (f"{IDENTIFYING},{READ}!user=live.", logging.WARNING, False),
        (f"{READ}!user=live,{READ}!user=near,{IDENTIFYING}.", logging.WARNING, False),
        (f"{READ}!group=lab,{IDENTIFYING}.", logging.WARNING, False),
        # Without any of it the dashboard shows nothing to them.
        (f"{IDENTIFYING}.", logging.WARNING, True),
        ("[].", logging.WARNING, True),
        (f"{IDENTIFYING},{READ}!user=live.", logging.ERROR, True),
    ],
)
def test_of_logins_to_the_viewer_only_those_are_logged_that_see_nothing(granted, level, passes):
    record = logging.LogRecord("JupyterHub", level, "auth.py", 319, LOGIN + granted, (), None)
    assert GrantedAsMeant().filter(record) is passes


def test_the_logins_to_other_services_are_logged_as_ever():
    said = "Service grades requested scopes admin:users for user a, granting only []."
    record = logging.LogRecord("JupyterHub", logging.WARNING, "auth.py", 319, said, (), None)
    assert GrantedAsMeant().filter(record)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gpu_resources": ["nvidia.com/gpu"], "other_pods_count": ["memory"], "max_gap": 60.0},
        {"usage_source": "hub"},
        {"usage_source": "recorded", "pod_namespaces": ["users-*"]},
        {"identify_pods_by": "name"},
        {"prometheus_url": "https://hub:secret@prometheus.test/prefix?tenant=x"},
    ],
    ids=str,
)
def test_the_viewer_goes_on_with_the_hubs_checkpoint(options, tmp_path, monkeypatch):
    """To the letter, its source is the Hub's, and so is where the file is."""
    monkeypatch.chdir(tmp_path)
    given = {"prometheus_url": "http://prometheus.test", "hub_namespace": "hub"} | options
    app = declared(UsageConfig=given)
    manager = UsageQuotaManager(parent=app, config=app.config)
    viewer = read_configuration(environment_of(viewer_of(app)), []).viewer
    hubs, viewers = (
        one.make_checkpoint(one.shown_prometheus_url, writer=one is manager)
        for one in (manager, viewer)
    )
    assert hubs
    assert viewers
    known = UsageSegment({}, covered_everywhere(0.0, 60.0))
    hubs.save([UsageSnapshot.of(manager.make_source(), known)], WRITTEN, complete=True)
    restored = viewers.load([viewer.make_source()])
    assert restored
    assert restored.written == WRITTEN
    assert [one.name for one in tmp_path.iterdir()] == ["usage-quotas.checkpoint"]
