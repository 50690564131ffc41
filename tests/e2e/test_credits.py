"""The credit service's configuration on real Hubs: its README as it is, with a real KubeSpawner;
and what happens at zero, when more come, with a project, and to several launches at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges, SqlSessions
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.quotas.sessions import Session, Watch
from tests.support.hub import PYTHONS, SERVER, Hub, running_hub
from tests.support.identity_provider import identity_provider
from tests.support.kubernetes.cluster import running_cluster
from tests.support.paths import ROOT
from tests.support.programs import free_port
from tests.support.visitor import PATIENCE, Visitor, text_of

pytestmark = pytest.mark.waits
README = (ROOT / "tests/data/credit-service/jupyterhub_config.py").read_text()
"""Byte for byte, from its first line of code to its last."""

WHAT_IT_LEAVES_OPEN = """

# The identity provider, and the cluster.
c.MixinAuthenticator.client_id = c.MixinAuthenticator.client_secret = "hub"
c.MixinAuthenticator.authorize_url = {provider!r} + "/authorize"
c.MixinAuthenticator.token_url = {provider!r} + "/token"
c.MixinAuthenticator.userdata_url = {provider!r} + "/userdata"
c.MixinAuthenticator.oauth_callback_url = "http://127.0.0.1:{port}/hub/oauth_callback"
c.MixinAuthenticator.username_claim = "name"
c.MixinAuthenticator.allow_all = True
c.KubeSpawner.namespace = "jhub"
c.KubeSpawner.cmd = {server!r}
c.KubeSpawner.args = []
c.KubeSpawner.delete_grace_period = 1
c.KubeSpawner.start_timeout = c.KubeSpawner.http_timeout = 300
c.JupyterHub.cleanup_servers = True
"""


class ByProvider(Visitor):
    """Logs in through the identity provider."""

    def __init__(self, url: str, username: str) -> None:
        self.username = username
        self.hub = "/hub"
        self.http = httpx.Client(
            base_url=url, follow_redirects=True, timeout=PATIENCE, trust_env=False
        )
        self.http.cookies.set("who", quote(username, safe=""), domain="127.0.0.1")
        answer = self.http.get("/hub/oauth_login", params={"next": "/hub/home"})
        assert answer.is_success, text_of(answer)
        assert answer.url.path == "/hub/home"


def credits_of(visitor: Visitor) -> dict:
    answer = visitor.api("GET", "/credits")
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()
    return found


@pytest.fixture(scope="module", params=PYTHONS)
def as_written(request, tmp_path_factory) -> Iterator[Hub]:
    """A Hub with the README's configuration."""
    directory, port = tmp_path_factory.mktemp("readme"), free_port()
    with (
        identity_provider() as provider,
        running_cluster(directory / "cluster", ["jhub"]) as cluster,
    ):
        more = WHAT_IT_LEAVES_OPEN.format(provider=provider, port=port, server=SERVER)
        # It is read when KubeSpawner is imported.
        before = f'os.environ["KUBECONFIG"] = {str(cluster.kubeconfig)!r}\n'
        with running_hub(directory / "hub", request.param, before + README + more, port) as hub:
            yield hub


def started_with(visitor: Visitor, **options: object) -> httpx.Response:
    return visitor.api("POST", f"/users/{quote(visitor.username)}/server", json=options)


def test_each_user_has_what_the_function_gives(as_written: Hub):
    for name, cap in [("a@gmail.com", 30), ("b@mycompany.org", 1000), ("c", 100)]:
        found = credits_of(ByProvider(as_written.url, name))
        assert (found["name"], found["balance"], found["cap"]) == ("default", cap, cap)
        assert (found["grant_value"], found["grant_interval"]) == (5, 600)


def test_a_server_costs_what_its_user_asks_for(as_written: Hub):
    ada = ByProvider(as_written.url, "ada@gmail.com")
    dear = started_with(ada, gpus=3)  # 5 + 30 of 30
    assert dear.status_code == 429, dear.text
    assert "credits" in dear.json()["message"]
    assert started_with(ada, gpus=2).is_success
    ada.wait_until_ready()
    assert "30" in text_of(ada.http.get("/hub/home"))
    # By the second, and not a whole interval in advance.
    assert 29 < credits_of(ada)["balance"] <= 30
    ada.stop()


@pytest.mark.parametrize("gpus", [-100, ["2"], "2"], ids=str)
def test_what_no_server_can_cost_is_denied_and_mints_nothing(as_written: Hub, gpus):
    eve = ByProvider(as_written.url, "eve@gmail.com")
    answer = started_with(eve, gpus=gpus)
    assert answer.status_code == 503, answer.text
    assert "cannot work out what it costs" in answer.json()["message"]
    assert credits_of(eve)["balance"] == 30
    # Nobody else suffers from it.
    bob = ByProvider(as_written.url, "bob@gmail.com")
    assert started_with(bob).is_success
    bob.wait_until_ready()
    bob.stop()


def test_the_header_says_how_many_of_how_many(as_written: Hub):
    page = ByProvider(as_written.url, "h@gmail.com").http.get("/hub/home")
    assert "Credits 30 / 30" in text_of(page)
    assert page.text.count('id="usage-quota-credits"') == 1


# --- at zero ----------------------------------------------------------------------------------

OURS = """
import jupyterhub_credit_service
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SimpleLocalProcessSpawner

class MixinAuthenticator(DummyAuthenticator, jupyterhub_credit_service.CreditsAuthenticator):
    pass

class Billing(SimpleLocalProcessSpawner, jupyterhub_credit_service.CreditsSpawner):
    pass

c.JupyterHub.authenticator_class = MixinAuthenticator
c.JupyterHub.spawner_class = Billing
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 0
c.MixinAuthenticator.credits_user_cap = 5
c.MixinAuthenticator.credits_user_grant_value = 5
c.MixinAuthenticator.credits_user_grant_interval = 60
c.MixinAuthenticator.credits_task_interval = 2
c.MixinAuthenticator.credits_available_projects = [
    {"name": "p", "cap": 100, "grant_value": 1, "grant_interval": 86400}
]
c.MixinAuthenticator.credits_user_project = lambda name, groups, admin: (
    "p" if name.startswith("member") else None
)
c.Billing.billing_value = 5
c.Billing.billing_interval = 600
c.SimpleLocalProcessSpawner.home_dir_template = str(directory / "home" / "{username}")
c.UsageViewer.enabled = False
"""


async def ran(directory: Path, used: dict[str, float]) -> float:
    """Servers that ran for some seconds just now, and cost so many credits; returns until when."""
    database = Database(parse_ledger_url(f"sqlite:///{directory / 'usage-quotas.sqlite'}"))
    database.upgrades = True
    now = time.time()
    sessions = [
        Session(f"{number:032x}", "", user, "", now - 5, now - 1, now - 1, {"credits": amount / 4})
        for number, (user, amount) in enumerate(used.items())
    ]
    await SqlSessions(database).write(SessionChanges(Watch("w" * 32, "", now - 9, now), sessions))
    await database.aclose()
    return now - 1


@pytest.mark.parametrize("version", PYTHONS)
def test_denied_at_zero_until_the_next_grant(version, tmp_path):
    # Not over a step, so that all of it comes before the next.
    if (since := time.time() % 60) < 6:
        time.sleep(6 - since)
    ended = asyncio.run(ran(tmp_path, {"zero": 10, "member-1": 97}))
    # Five of five, and five more, so that two grants are needed.
    allowed = datetime.fromtimestamp((ended // 60 + 2) * 60, UTC)
    with running_hub(tmp_path, version, OURS) as hub:
        zero = Visitor(hub.url, "zero")
        denied = zero.start_by_api()
        assert denied.status_code == 429, denied.text
        wait = int(denied.headers["Retry-After"])
        assert abs(time.time() + wait - allowed.timestamp()) < 5
        found = credits_of(zero)
        assert (found["balance"], found["cap"]) == (0, 5)
        following = datetime.fromisoformat(found["next_grant"])
        assert following.timestamp() % 60 == 0
        assert 0 < (following - datetime.now(UTC)).total_seconds() <= 60
        home = text_of(zero.http.get("/hub/home"))
        assert "Credits 0 / 5" in home
        assert f"{following:%H:%M}" in home
        _the_project_pays_first(hub)
        _several_at_once(hub)
        _only_as_the_scopes_say(hub)
        _an_admin_writes(hub)
        while (left := allowed.timestamp() - time.time()) > 0:
            early = zero.start_by_api()
            assert early.status_code == 429 or time.time() >= allowed.timestamp(), early.text
            time.sleep(min(10.0, left))
        zero.wait_until(lambda: zero.start_by_api().is_success)


@contextmanager
def streaming(visitor: Visitor, path: str) -> Iterator[httpx.Response]:
    """A stream of events; a visitor would read all of it before looking at it."""
    url = f"{str(visitor.http.base_url).rstrip('/')}/hub/api/credits{path}"
    client = httpx.Client(cookies=visitor.http.cookies, trust_env=False, timeout=60)
    with client, client.stream("GET", url, params={"_xsrf": visitor._xsrf}) as stream:
        yield stream


def _the_project_pays_first(hub: Hub) -> None:
    member = Visitor(hub.url, "member-1")
    # Projects are added up once for all their members, in a moment.
    member.wait_until(lambda: credits_of(member)["balance"] == 5)
    found = credits_of(member)
    # 97 of the project's 100 were used, and none of her own.
    assert found["balance"] == found["cap"] == 5
    assert found["project"]["name"] == "p"
    assert 2.9 <= found["project"]["balance"] <= 4.1
    other = credits_of(Visitor(hub.url, "member-2"))
    assert other["project"]["balance"] == found["project"]["balance"]
    assert "project" not in credits_of(Visitor(hub.url, "none"))


def _several_at_once(hub: Hub) -> None:
    """Five launches on credits for one."""
    five = Visitor(hub.url, "five")
    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda one: five.start_by_api(f"s{one}"), range(5)))
    assert sorted(one.status_code for one in answers)[1:] == [429] * 4, [
        one.text for one in answers
    ]
    assert min(one.status_code for one in answers) in (201, 202)
    five.wait_until(lambda: any(one["ready"] for one in five.servers().values()))
    # And not once it runs either: it keeps what it was let in on.
    assert five.start_by_api("s9").status_code == 429


def _only_as_the_scopes_say(hub: Hub) -> None:
    one, other = Visitor(hub.url, "five"), Visitor(hub.url, "other")
    (server,) = one.servers()
    assert one.api("GET", "/credits/health").json() == {"status": "ok"}
    for method, path in [
        ("GET", "/credits/user/five"),
        ("POST", "/credits/user/five"),
        ("POST", "/credits/project/p"),
        ("DELETE", f"/credits/stopserver/five/{server}"),
        ("GET", f"/credits/sseserver/five/{server}"),
    ]:
        answer = other.api(method, path, **({"json": {}} if method == "POST" else {}))
        assert answer.status_code in (403, 404), (path, answer.text)
    assert httpx.get(f"{hub.url}/hub/api/credits", trust_env=False).status_code == 403
    with streaming(one, f"/sseserver/five/{server}") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        line = next(text for text in stream.iter_lines() if text.startswith("data: "))
        assert json.loads(line[6:])["cap"] == 5
    assert one.api("GET", "/credits/sseserver/five/none").status_code == 404
    # Not a token in an address.
    token = one.api("POST", "/users/five/tokens", json={}).json()["token"]
    asked = f"{hub.url}/hub/api/credits/sse?token={token}"
    assert httpx.get(asked, trust_env=False).status_code == 403
    headers = {"Authorization": f"token {token}"}
    by_token = httpx.get(f"{hub.url}/hub/api/credits", headers=headers, trust_env=False)
    assert by_token.json()[0]["cap"] == 5
    assert one.api("DELETE", f"/credits/stopserver/five/{server}").status_code in (202, 204)
    one.wait_until(lambda: not one.servers())


def _an_admin_writes(hub: Hub) -> None:
    admin, user = Visitor(hub.url, "admin"), Visitor(hub.url, "written")
    with streaming(user, "/sse") as stream:
        lines = (text for text in stream.iter_lines() if text.startswith("data: "))
        assert json.loads(next(lines)[6:])[0]["balance"] == 5
        answer = admin.api("POST", "/credits/user/written", json={"cap": 500, "balance": 500})
        assert answer.status_code == 200, answer.text
        # It is shown without being asked for.
        assert any(json.loads(line[6:])[0]["balance"] == 500 for line in lines)
    assert credits_of(user)["balance"] == 500
    below = admin.api("POST", "/credits/user/written/default", json={"balance": 1})
    assert below.status_code == 200, below.text
    assert credits_of(user)["balance"] == 1
    for wrong in ({"balance": -1}, {"balance": 10_000}, {"balance": "x"}, {"grant_value": 7}):
        assert admin.api("POST", "/credits/user/written", json=wrong).status_code == 400
    assert admin.api("POST", "/credits/user/nobody", json={"cap": 1}).status_code == 404
    assert admin.api("POST", "/credits/project/none", json={"cap": 1}).status_code == 404
    assert admin.api("POST", "/credits/project/p", json={"balance": 50}).status_code == 200
    assert admin.api("GET", "/credits/project/p").json()["balance"] == 50
    # What an admin wrote is not lost at the next login.
    assert credits_of(Visitor(hub.url, "written"))["balance"] == 1
