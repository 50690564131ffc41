"""Teachers of real Hubs give more on the dashboard, each to their own; it is in force at once."""

from __future__ import annotations

import pytest

from tests.support.giver import API, Giver
from tests.support.hub import PYTHONS, running_hub
from tests.support.ports import free_port
from tests.support.visitor import Visitor

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = "http://127.0.0.1:9"  # nobody is there
c.UsageConfig.hub_namespace = "giving-more"
c.UsageConfig.deadline = 1
c.UsageConfig.request_timeout = 1
c.UsageQuotaManager.policy = [
    {"name": "none", "resource": "time", "limit": "0 hours", "window": 7,
     "scope": {"group": ["a", "b"]}}
]
c.UsageQuotaManager.grant_limits = {"none": "5 hours"}
c.UsageQuotaManager.may_grant = {"lab": [{"glob": "b*"}]}
c.JupyterHub.load_groups = {
    "a": {"users": ["ada"]},
    "b": {"users": ["bob"]},
    "lab": {"users": ["lea"]},
}
c.JupyterHub.load_roles = [
    {"name": "tutors", "scopes": ["custom:usage-quotas:grant!group=a"], "users": ["tom"]}
]
"""


@pytest.mark.parametrize("version", PYTHONS)
def test_a_teacher_gives_a_student_starts_and_it_is_taken_back(version, tmp_path):
    with running_hub(tmp_path, version, CONFIG, free_port()) as hub:
        hub.program.wait_for_url(f"{hub.url}/services/usage-quota/api/v1/openapi.json")
        ada, bob = Visitor(hub.url, "ada"), Visitor(hub.url, "bob")
        tom, lea, admin = (Giver(hub.url, name) for name in ("tom", "lea", "admin"))
        assert not ada.launches()
        # By a role, by groups, and whatever an admin likes; to nobody else.
        refused = {
            "b": tom.give("none", "bob"),
            "a": lea.give("none", "ada"),
            "own": tom.give("none", "tom"),
        }
        assert {name: one.status_code for name, one in refused.items()} == {
            "b": 404,
            "a": 404,
            "own": 403,
        }
        student = Giver(hub.url, "ada")
        assert student.give("none", "ada").status_code == 403
        forged = [
            giver.give("none", user, **{"X-XSRFToken": token})
            for giver, user in ((tom, "ada"), (admin, "ada"))
            for token in ("", "wrong", lea.token)
        ]
        assert [one.status_code for one in forged] == [401] * 6
        assert not ada.launches()
        given = tom.give("none", "ada", **{"Idempotency-Key": "once"})
        assert given.status_code == 201, given.text
        # Half a second by design, and whatever a busy machine takes for its requests.
        assert ada.seconds_until_launch(allowed=True) < 5
        assert not bob.launches()
        ada.wait_until_ready()
        ada.stop()
        again = tom.give("none", "ada", **{"Idempotency-Key": "once"})
        assert (again.status_code, again.json()) == (200, given.json())
        assert tom.give("none", "ada", "4 hours").status_code == 403
        assert lea.give("none", "bob").status_code == 201
        assert admin.give("none", "bob", "50 hours").status_code == 201
        (said,) = given.json()["items"]
        assert (said["actor"], said["user"], said["amount"]) == ("tom", "ada", 2.0)
        own = student.http.get("/services/usage-quota/api/v1/users/ada/adjustments").json()
        assert own["items"] == [said]
        assert student.http.get("/services/usage-quota/api/v1/users/bob/adjustments").is_error
        void = f"{API}/{said['id']}/void"
        assert lea.send(void, {"reason": "not mine"}).status_code == 404
        assert tom.send(void, {"reason": "a slip"}).json()["voided"]["actor"] == "tom"
        assert ada.seconds_until_launch(allowed=False) < 10
        # A user who is renamed keeps theirs; whoever has the name next has nothing of it.
        renamed = Visitor(hub.url, "admin").api("PATCH", "/users/bob", json={"name": "robert"})
        assert renamed.status_code == 200, renamed.text
        robert = Visitor(hub.url, "robert")
        assert robert.seconds_until_launch(allowed=True) < 60
        kept = Giver(hub.url, "robert").http

        def allowances() -> list[float]:
            said = kept.get(f"{API.removesuffix('adjustments')}me").json()
            return [one["allowance"] for one in said["verdicts"]]

        # The dashboard reads the ledger by itself, in a moment.
        robert.wait_until(lambda: allowances() == [52], 60)
