"""The Usage Quota Dashboard as a service of real Hubs: what it shows, and to whom."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from bs4 import BeautifulSoup

from tests.support.cluster import HOUR, NAMESPACE
from tests.support.forked import run_command
from tests.support.hub import PYTHONS, Hub, launch, write_config
from tests.support.paths import ROOT
from tests.support.programs import Program, free_port
from tests.support.recorded_hub import LIMIT, Recorded, quotas
from tests.support.visitor import Visitor, text_of

BASE = "/base"
SERVICE = f"{BASE}/services/usage-quota"
HUB = f"{BASE}/hub"
SECRET = "never-to-be-seen-in-a-log"
PASSWORD = "prometheus-password-of-the-test"
NAMES = ["over", "within", "mate", "newcomer", "admin", "over<b>&"]

MORE = f"""
c.UsageViewer.session_secret_key = "{SECRET}"
c.UsageConfig.prometheus_auth = {{"username": "u", "password": "{PASSWORD}"}}
c.JupyterHub.template_vars = {{"announcement": "Closed on Friday", "asked": lambda user: "x"}}
c.JupyterHub.services = [
    {{"name": "robot", "api_token": "robot-token-of-the-test"}},
    {{"name": "lecturer", "api_token": "lecturer-token-of-the-test"}},
    {{"name": "stranger", "api_token": "stranger-token-of-the-test"}},
]
READ = "custom:usage-quotas:read"
ACCESS = "access:services!service=usage-quota"
c.JupyterHub.load_roles = [
    {{"name": "robots", "scopes": [READ, ACCESS], "services": ["robot"]}},
    {{"name": "lecturers", "scopes": [READ + "!group=team-red", ACCESS], "services": ["lecturer"]}},
    {{"name": "strangers", "scopes": [ACCESS], "services": ["stranger"]}},
]
"""


@contextmanager
def running(directory: Path, version: str, config: str) -> Iterator[Hub]:
    """A Hub under a base URL whose viewer answers."""
    port = free_port()
    config_file = write_config(directory, version, config + under_base(port), port)
    with started(directory, version, config_file, port) as hub:
        yield hub


def under_base(port: int) -> str:
    """The configuration of a Hub that is not at the root of its site."""
    return f'\nc.JupyterHub.bind_url = "http://127.0.0.1:{port}{BASE}/"\n'


@contextmanager
def started(directory: Path, version: str, config_file: Path, port: int) -> Iterator[Hub]:
    with launch(directory, version, config_file, fork_services=False) as program:
        url = f"http://127.0.0.1:{port}"
        program.wait_for_url(f"{url}{HUB}/health")
        program.wait_for_url(f"{url}{SERVICE}/api/v1/openapi.json")
        yield Hub(url, program, version)


@pytest.fixture(scope="module", params=PYTHONS)
def hub(request, recorded: Recorded, tmp_path_factory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp(f"viewer{request.param}")
    with running(directory, request.param, quotas(recorded) + MORE) as hub:
        for name in NAMES:
            Visitor(hub.url, name, base=BASE)
        yield hub


def visit(hub: Hub, username: str) -> Visitor:
    """Somebody who has logged in and opened the dashboard."""
    visitor = Visitor(hub.url, username, base=BASE)
    page = visitor.http.get(f"{SERVICE}/")
    assert page.is_success, text_of(page)
    return visitor


def with_token(hub: Hub, path: str, token: str) -> httpx.Response:
    """An answer of the API to a program."""
    return httpx.get(
        f"{hub.url}{SERVICE}/api/v1/{path}",
        headers={"Authorization": f"token {token}"},
        trust_env=False,
    )


def check(hub: Hub, username: str, *groups: str, members: tuple[str, ...] = ()) -> dict:
    """What `check --json` says about a user."""
    config = hub.program.log.parent / "jupyterhub_config.py"
    arguments = ["--json", "--config", str(config), "--user", username]
    arguments += [part for group in groups for part in ("--group", group)]
    arguments += [part for member in members for part in ("--member", member)]
    done = run_command("check", *arguments)
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


SAME = [
    *("policy", "resource", "window", "limit", "unit", "fits", "never", "shared", "applies"),
    *("when_exhausted", "need", "retry_time"),
]


@pytest.mark.parametrize(
    ("username", "groups", "members"),
    [
        ("over", (), ()),
        ("within", (), ()),
        ("over<b>&", (), ()),
        ("mate", ("team-red",), ("newcomer",)),
        ("newcomer", ("team-red",), ("mate",)),
    ],
)
def test_the_api_says_what_check_says(hub: Hub, username, groups, members):
    said = visit(hub, username).http.get(f"{SERVICE}/api/v1/me").json()
    expected = check(hub, username, *groups, members=members)
    for key in ("user", "groups", "allow_server_launch", "outcome", "retry_time"):
        assert said[key] == expected[key], key
    assert [{key: one[key] for key in SAME} for one in said["verdicts"]] == [
        {key: one[key] for key in SAME} for one in expected["verdicts"]
    ]
    for one, other in zip(said["verdicts"], expected["verdicts"], strict=True):
        for key in ("used", "remaining", "allowance"):
            assert one[key] == pytest.approx(other[key]), key
    assert said["verdicts"], "there is something to compare"


def test_a_users_own_page(hub: Hub):
    page = visit(hub, "over").http.get(f"{SERVICE}/")
    text = text_of(page)
    assert "Your usage" in text
    assert "20 GiB-hours" in text
    assert f"{LIMIT} GiB-hours" in text
    assert "Servers may start again from" in text
    assert "Ask <help> at https://help.example.org/quota" in text
    soup = BeautifulSoup(page.text, "html.parser")
    # In the Hub's own look: its style sheet is there, and what the admin announces.
    sheet = soup.find("link", rel="stylesheet")["href"]
    assert httpx.get(hub.url + sheet, trust_env=False).is_success
    assert "Closed on Friday" in text
    assert soup.find("a", id="logout")["href"] == f"{HUB}/logout"


def test_every_script_of_a_page_is_allowed_and_no_other_would_be(hub: Hub):
    page = visit(hub, "over").http.get(f"{SERVICE}/")
    policy = page.headers["Content-Security-Policy"]
    allowed = re.search(r"script-src ([^;]*)", policy)[1]
    assert "unsafe" not in allowed
    nonce = re.search(r"'nonce-([^']+)'", allowed)[1]
    scripts = BeautifulSoup(page.text, "html.parser").find_all("script")
    assert len(scripts) >= 4
    assert {script.get("nonce") for script in scripts} == {nonce}
    assert visit(hub, "over").http.get(f"{SERVICE}/").headers["Content-Security-Policy"] != policy


PATHS = [
    "users/{}",
    "api/v1/users/{}",
    "api/v1/users/{}/usage?resource=memory",
    "api/v1/users/{}/sessions",
    "api/v1/users/{}/sessions?format=csv",
    "api/v1/users/{}/forecast?memory=1GiB",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("visitor_name", ["within", "over<b>&"])
def test_a_user_sees_no_other_user(hub: Hub, path, visitor_name):
    """And cannot tell whether there is one: only the name that they asked for differs."""
    visitor = visit(hub, visitor_name)
    answers = []
    for name in ("over", "nobody-has-this-name", "over%2F", "%00", "..%2Fme"):
        answer = visitor.http.get(f"{SERVICE}/{path.format(name)}")
        assert answer.status_code == 404, answer.url
        assert "GiB-hours" not in answer.text
        nonce = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        answers.append(answer.text.replace(nonce[1], "") if nonce else answer.text)
    assert len(set(answers)) == 1
    own = visitor.http.get(f"{SERVICE}/{path.format(quote(visitor_name, safe=''))}")
    assert own.status_code == 200


def test_a_user_sees_no_list(hub: Hub):
    visitor = visit(hub, "within")
    assert visitor.http.get(f"{SERVICE}/users").status_code == 404
    refused = visitor.http.get(f"{SERVICE}/api/v1/users")
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "over" not in refused.text.replace("overview", "")


def test_an_admin_sees_everybody(hub: Hub):
    admin = visit(hub, "admin")
    table = text_of(admin.http.get(f"{SERVICE}/users"))
    for name in NAMES:
        assert name in table
    listed = admin.http.get(f"{SERVICE}/api/v1/users").json()
    assert [one["user"] for one in listed["items"]] == sorted(NAMES)
    over = next(one for one in listed["items"] if one["user"] == "over")
    assert over["state"] == "exhausted"
    assert over["verdicts"][0]["used"] == pytest.approx(20, rel=0.02)
    first = admin.http.get(f"{SERVICE}/api/v1/users", params={"sort": "-used", "limit": 2}).json()
    assert first["items"][0]["user"].startswith("over")
    following = admin.http.get(first["next"]).json()
    assert following["offset"] == 2
    page = admin.http.get(f"{SERVICE}/users/{quote('over<b>&', safe='')}")
    assert "Usage of over<b>&" in text_of(page)
    assert BeautifulSoup(page.text, "html.parser").find("b") is None
    assert admin.http.get(f"{SERVICE}/users/nobody").status_code == 404


def test_tokens_of_services_see_what_their_scopes_say(hub: Hub):
    assert with_token(hub, "users", "robot-token-of-the-test").json()["total"] == len(NAMES)
    assert with_token(hub, "me", "robot-token-of-the-test").status_code == 404
    listed = with_token(hub, "users", "lecturer-token-of-the-test").json()
    assert {one["user"] for one in listed["items"]} == {"mate", "newcomer"}
    assert with_token(hub, "users/mate", "lecturer-token-of-the-test").status_code == 200
    assert with_token(hub, "users/over", "lecturer-token-of-the-test").status_code == 404
    assert with_token(hub, "users/nobody", "lecturer-token-of-the-test").status_code == 404
    for path in ("users", "policies"):
        assert with_token(hub, path, "stranger-token-of-the-test").status_code == 403
    assert with_token(hub, "users/over", "stranger-token-of-the-test").status_code == 404
    for token in ("wrong", "wrong with spaces", "x" * 5000):
        assert with_token(hub, "me", token).status_code == 401


def token_of(visitor: Visitor, **wanted) -> str:
    answer = visitor.api("POST", f"/users/{quote(visitor.username, safe='')}/tokens", json=wanted)
    assert answer.is_success, answer.text
    return answer.json()["token"]


def test_tokens_of_users(hub: Hub):
    user, admin = Visitor(hub.url, "within", base=BASE), Visitor(hub.url, "admin", base=BASE)
    own = token_of(user)
    assert with_token(hub, "me", own).json()["user"] == "within"
    assert with_token(hub, "users/within", own).status_code == 200
    assert with_token(hub, "users/over", own).status_code == 404
    assert with_token(hub, "users/over", token_of(admin)).status_code == 200
    # Less than its owner may: neither the admin's rights nor even their own usage.
    access = "access:services!service=usage-quota"
    little = token_of(admin, scopes=[access])
    assert with_token(hub, "users/over", little).status_code == 404
    assert with_token(hub, "users", little).status_code == 403
    none = token_of(user, scopes=["read:users:name!user"])
    assert with_token(hub, "me", none).status_code == 403


def test_the_token_of_a_server(hub: Hub):
    """A server's own token sees its user, also where that is an admin."""
    for name in ("within", "admin"):
        visitor = Visitor(hub.url, name, base=BASE)
        visitor.start()
        visitor.wait_until_ready()
        try:
            token = environment_of_server(name)["JUPYTERHUB_API_TOKEN"]
            assert with_token(hub, "me", token).json()["user"] == name
            assert with_token(hub, "users/over", token).status_code == 404
            assert with_token(hub, "users", token).status_code == 403
        finally:
            visitor.stop()


def environment_of_server(username: str) -> dict[str, str]:
    """The environment of a user's server that runs on this machine."""
    wanted = f"JUPYTERHUB_USER={username}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            parts = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        prefix = f"JUPYTERHUB_SERVICE_PREFIX={BASE}/user/".encode()
        if wanted in parts and any(part.startswith(prefix) for part in parts):
            return dict(part.decode().partition("=")[::2] for part in parts if b"=" in part)
    raise AssertionError(f"no server of {username} runs")


def test_usage_sessions_and_forecast(hub: Hub, recorded: Recorded):
    http = visit(hub, "over").http
    path = f"{SERVICE}/api/v1/users/over/usage"
    day = datetime.fromtimestamp(recorded.end - 24 * HOUR, UTC).isoformat()
    asked = {"resource": "memory", "step": "hour", "from": day}
    usage = http.get(path, params=asked).json()
    assert sum(one["amount"] for one in usage["buckets"]) == pytest.approx(20, rel=0.02)
    assert usage["unit"] == "GiB-hours"
    too_many = http.get(path, params={"resource": "memory", "step": "hour"})
    assert too_many.json()["parameter"] == "step"
    sessions = http.get(f"{SERVICE}/api/v1/users/over/sessions").json()["sessions"]
    assert len(sessions) == 1
    assert sessions[0]["used"]["memory"]["amount"] == pytest.approx(20, rel=0.02)
    assert sessions[0]["ongoing"] is False
    table = http.get(f"{SERVICE}/api/v1/users/over/sessions?format=csv")
    assert table.headers["Content-Type"].startswith("text/csv")
    assert next(csv.reader(table.text.splitlines()))[-1] == "memory (GiB-hours)"
    assert http.get(f"{SERVICE}/api/v1/users/over/forecast").json()["lasts_seconds"] == 0
    within = visit(hub, "within").http
    forecast = within.get(f"{SERVICE}/api/v1/users/within/forecast?memory=1GiB").json()
    # 6 GiB-hours are left; an hour's usage leaves the window only tomorrow.
    assert forecast["lasts_seconds"] == pytest.approx(6 * 3600, rel=0.02)


def test_what_is_the_same_is_not_sent_again(hub: Hub):
    http = visit(hub, "within").http
    while True:
        first = http.get(f"{SERVICE}/api/v1/me")
        etag = {"If-None-Match": first.headers["ETag"]}
        again = http.get(f"{SERVICE}/api/v1/me", headers=etag)
        if again.status_code == 304:
            break
        # The minute has ended between the two; it cannot have between the next two.
        assert again.json()["as_of"] != first.json()["as_of"]
    assert not again.content


def test_a_script_of_another_page_cannot_use_the_session(hub: Hub):
    """Users' servers are of the same origin: without our page's token they learn nothing."""
    visitor = visit(hub, "within")
    fetch = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    assert visitor.http.get(f"{SERVICE}/api/v1/me", headers=fetch).status_code == 401
    page = visitor.http.get(f"{SERVICE}/").text
    token = re.search(r'xsrf_token: "([^"]+)"', page)[1]
    allowed = visitor.http.get(f"{SERVICE}/api/v1/me", headers={**fetch, "X-XSRFToken": token})
    assert allowed.status_code == 200


def test_behind_a_proxy_that_ends_tls_cookies_are_secure(hub: Hub):
    visitor = Visitor(hub.url, "within", base=BASE)
    visitor.http.follow_redirects = False
    answer = visitor.http.get(f"{SERVICE}/", headers={"X-Forwarded-Proto": "https"})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{HUB}/api/oauth2/authorize?")
    assert "secure" in answer.headers["Set-Cookie"].lower()


def viewer_pid(hub: Hub) -> int:
    """The viewer's process: a child of the Hub's."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        ours = b"jupyterhub_usage_quotas.services.usage_viewer" in command
        if ours and str(hub.program.log.parent).encode() in os.readlink(entry / "cwd").encode():
            assert b"JUPYTERHUB_USAGE_QUOTAS_HANDED_OVER_0=" in environment
            assert not any(SECRET.encode() in part for part in command)
            return int(entry.name)
    raise AssertionError("the viewer does not run")


def test_a_session_survives_a_restart_of_the_service(hub: Hub):
    visitor = visit(hub, "within")
    before = viewer_pid(hub)
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        url = f"{hub.url}{SERVICE}/api/v1/openapi.json"
        return httpx.get(url, trust_env=False).is_success

    Visitor.wait_until(lambda: not Path(f"/proc/{before}").exists() or not is_back())
    hub.program.wait_until(is_back)
    assert viewer_pid(hub) != before
    visitor.http.follow_redirects = False
    page = visitor.http.get(f"{SERVICE}/")
    assert page.status_code == 200
    assert "Your usage" in text_of(page)


def test_that_users_are_granted_less_than_everything_is_no_warning(hub: Hub):
    """Users have logged in by now, who see themselves only."""
    lines = hub.program.output().splitlines()
    assert not [line for line in lines if "granting only" in line]


def test_no_secret_is_in_a_log_or_in_the_database(hub: Hub):
    """The last test of this file: whatever was done before is in the log by now."""
    directory = hub.program.log.parent
    database = (directory / "jupyterhub.sqlite").read_bytes()
    for secret in (SECRET, PASSWORD):
        assert secret not in hub.program.output()
        assert secret.encode() not in database
    assert "Traceback" not in hub.program.output()
    assert "usage-quota" in hub.program.output()


# --- other configurations ---------------------------------------------------------------------

AS_THE_DOCUMENT = """
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.stale_after = 7200.0
c.JupyterHub.services = [
    {{
        "name": "usage-quota",
        "url": "http://localhost:{port}",
        "display": False,
        "oauth_no_confirm": True,
        "command": [
            "{python}",
            "-m",
            "jupyterhub_usage_quotas.services.usage_viewer",
            "--config-files={directory}/jupyterhub_config.d/jupyterhub_usage_quota_config.py",
            "--config-files={directory}/jupyterhub_config.d/jupyterhub_usage_quota_config_secret.py",
        ],
    }}
]
c.JupyterHub.load_roles = [
    {{"name": "usage-quota-service", "scopes": ["read:users"], "services": ["usage-quota"]}},
    {{"name": "user", "scopes": ["self", "access:services!service=usage-quota"]}},
]
c.JupyterHub.load_groups = {{"group-0": {{"users": ["mate"]}}}}
"""


@pytest.mark.parametrize("version", PYTHONS)
def test_configured_as_the_quickstart_document_says(version, tmp_path, recorded: Recorded):
    """Word for word, but for addresses and what only a cluster has."""
    directory = tmp_path / "hub"
    shutil.copytree(ROOT / "tests/data/quickstart", directory)
    config_d = directory / "jupyterhub_config.d"
    config_file = config_d / "jupyterhub_usage_quota_config.py"
    written = config_file.read_text()
    url = "http://<prometheus-service-name>.<k8s-prometheus-namespace>.svc.cluster.local"
    assert url in written
    assert "<k8s-hub-namespace>" in written
    config_file.write_text(
        written.replace(url, recorded.url).replace("<k8s-hub-namespace>", NAMESPACE)
        # The history ended when the tests began.
        + "c.UsageConfig.stale_after = 7200.0\n"
    )
    example = (directory / "jupyterhub_config.py").read_text()
    port = free_port()
    more = AS_THE_DOCUMENT.format(
        url=recorded.url,
        namespace=NAMESPACE,
        port=free_port(),
        python=PYTHONS[version],
        directory=directory,
    )
    path = write_config(directory, version, more + under_base(port), port)
    # The authenticator and spawner of the example need a provider and a cluster.
    path.write_text(example + path.read_text())
    with started(directory, version, path, port) as hub:
        said = visit(hub, "mate").http.get(f"{SERVICE}/api/v1/me").json()
        assert said["groups"] == ["group-0"]
        assert [one["policy"] for one in said["verdicts"]] == ["memory per 7 days for group-0"]
        assert said["verdicts"][0]["limit"] == 1000
        assert said["verdicts"][0]["used"] == pytest.approx(7, rel=0.02)
        nobody = visit(hub, "within").http.get(f"{SERVICE}/api/v1/me").json()
        assert nobody["verdicts"] == []
        log = hub.program.output()
    assert "secret_session_key" not in log
    assert "`c.UsageViewer.session_secret_key: ...` is a type annotation" in log
    assert "<use-a-secure-key-in-production>" not in log
    assert "<prometheus_password>" not in log


EXTERNAL = """
c.JupyterHub.services = [
    {{
        "name": "usage-quota",
        "url": "http://127.0.0.1:{port}",
        "api_token": "{token}",
        "oauth_no_confirm": True,
    }}
]
"""


@pytest.mark.parametrize("version", PYTHONS)
def test_a_service_that_runs_by_itself(version, tmp_path, recorded: Recorded):
    """As in a pod of its own: it is given configuration files and a token, and little else. Its
    session secret is the same when it is started again, and so are sessions.
    """
    port, own_port, token = free_port(), free_port(), "external-token-of-the-test"
    more = EXTERNAL.format(port=own_port, token=token)
    config = quotas(recorded) + more + under_base(port)
    config_file = write_config(tmp_path, version, config, port)
    hub_api = re.search(r"hub_port = (\d+)", config_file.read_text())[1]
    policies = tmp_path / "policies.py"
    policies.write_text(
        f"c.UsageConfig.prometheus_url = {recorded.url!r}\n"
        f"c.UsageConfig.hub_namespace = {NAMESPACE!r}\n"
        "c.UsageConfig.stale_after = 7200.0\n"
        "c.UsageQuotaManager.policy = [{'resource': 'memory', 'limit': '8 GiB-hours',"
        " 'window': '24h', 'scope': {'everyone': True}}]\n"
    )
    secret = tmp_path / "secret.py"
    secret.write_text(f"c.UsageViewer.session_secret_key = {SECRET!r}\n")
    environment = {
        "JUPYTERHUB_API_TOKEN": token,
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{hub_api}{HUB}/api",
        "JUPYTERHUB_SERVICE_PREFIX": f"{SERVICE}/",
        "JUPYTERHUB_SERVICE_URL": f"http://service-name.invalid:{own_port}",
    }
    command = [str(PYTHONS[version]), "-m", "jupyterhub_usage_quotas.services.usage_viewer"]
    command += [f"--config-files={policies}", f"--config-files={secret}"]

    def start(log: str) -> Program:
        viewer = Program(command, tmp_path / log, environment=environment)
        viewer.wait_for_url(f"http://127.0.0.1:{own_port}{SERVICE}/api/v1/openapi.json")
        return viewer

    with start("viewer.log") as first, started(tmp_path, version, config_file, port) as hub:
        visitor = visit(hub, "over")
        me = visitor.http.get(f"{SERVICE}/api/v1/me").json()
        assert me["verdicts"][0]["used"] == pytest.approx(20, rel=0.02)
        assert visit(hub, "admin").http.get(f"{SERVICE}/api/v1/users").json()["total"] >= 2
        first.stop()
        with start("again.log"):
            visitor.http.follow_redirects = False
            assert visitor.http.get(f"{SERVICE}/").status_code == 200
    for log in ("viewer.log", "again.log"):
        said = (tmp_path / log).read_text()
        assert SECRET not in said
        assert token not in said
        assert "Traceback" not in said


@pytest.mark.parametrize("version", PYTHONS)
def test_with_tls_inside_of_the_hub(version, tmp_path, recorded: Recorded):
    """The proxy reaches the service on this machine without; the service reaches the Hub with."""
    config = quotas(recorded) + "c.JupyterHub.internal_ssl = True\n"
    proxy = "c.ConfigurableHTTPProxy.api_url"
    config += f"{proxy} = {proxy}.replace('http:', 'https:')\n"
    config += f"c.JupyterHub.internal_certs_location = '{tmp_path / 'certs'}'\n"
    with running(tmp_path, version, config) as hub:
        me = visit(hub, "over").http.get(f"{SERVICE}/api/v1/me").json()
        assert me["verdicts"][0]["used"] == pytest.approx(20, rel=0.02)
        assert visit(hub, "admin").http.get(f"{SERVICE}/api/v1/users").json()["total"] >= 2


def test_it_ends_with_its_hub(tmp_path, recorded: Recorded):
    """Even with one that had no time to stop it: else the port would be taken for the next."""
    with running(tmp_path, "6", quotas(recorded)) as hub:
        viewer = viewer_pid(hub)
        hub.program.send_signal(signal.SIGKILL)
        hub.program.wait_for_exit()
    Visitor.wait_until(lambda: not Path(f"/proc/{viewer}").exists())


def test_switched_off(tmp_path, recorded: Recorded):
    config = quotas(recorded) + "c.UsageViewer.enabled = False\n"
    port = free_port()
    with launch(tmp_path, "6", write_config(tmp_path, "6", config, port)) as program:
        program.wait_for_url(f"http://127.0.0.1:{port}/hub/health")
        assert "usage_viewer" not in program.output()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("c.UsageViewer.sesion_secret_key = 'x'", "did you mean session_secret_key?"),
        ("c.UsageViewer.url = 'hub:9000'", "url: not a URL: got 'hub:9000'"),
    ],
)
def test_a_fault_in_the_viewers_options_stops_the_hub(tmp_path, recorded: Recorded, line, says):
    config_file = write_config(tmp_path, "6", quotas(recorded) + line, free_port())
    with launch(tmp_path, "6", config_file) as program:
        assert program.wait_for_exit(60) == 1
        assert says in program.output()
        assert "Traceback" not in program.output()
