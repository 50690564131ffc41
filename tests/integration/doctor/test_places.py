"""`doctor` in the places where JupyterHubs are: what it advises is of that place."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm

from jupyterhub_usage_quotas import commands as cli
from tests.support.cluster import GIB, HOUR
from tests.support.faulty_proxy import Answer
from tests.support.programs import Span, free_port
from tests.support.recorded import NOW

BEGIN, END = NOW - 8 * 24 * HOUR, NOW + 4 * HOUR
OF_KUBERNETES = ("namespace", "kube-", "ServiceMonitor", "NetworkPolicy", "network polic", "pod")
SPAWNERS = (
    "systemdspawner.SystemdSpawner",
    "jupyterhub.spawner.SimpleLocalProcessSpawner",
    "dockerspawner.DockerSpawner",
    "batchspawner.SlurmSpawner",
    "batchspawner.TorqueSpawner",
)

POLICY = """
c.UsageQuotaManager.policy = [
    {"name": "week", "resource": "time", "limit": "10 hours", "window": WINDOW,
     "scope": {"group": ["students"]}},
]
"""
CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

c = get_config()
c.JupyterHub.spawner_class = "{spawner}"
c.JupyterHub.hub_port = {port}
setup_usage_quotas(c)
c.UsageConfig.usage_source = "hub"
c.UsageConfig.prometheus_url = "{url}"
"""

Found = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def on_a_machine(monkeypatch):
    for name in ("KUBERNETES_SERVICE_HOST", "POD_NAMESPACE", "JUPYTERHUB_USAGE_QUOTAS_POD"):
        monkeypatch.delenv(name, raising=False)


def exported() -> Iterator[Span]:
    """What the Hub of one machine exports, with one server."""
    labels = {"namespace": "", "instance": "127.0.0.1:15001"}
    yield Span("jupyterhub_usage_quotas_exporter_info", labels, BEGIN, END)
    server = {"username": "alice", "servername": "", "gpu": "false", "resource": "memory"}
    requests = "jupyterhub_usage_quotas_server_requests"
    yield Span(requests, labels | server, BEGIN, END, float(GIB))


@pytest.fixture(scope="module")
def scraped(serve_history) -> str:
    return serve_history(exported())


@pytest.fixture(scope="module")
def empty(serve_history) -> str:
    """Of another program, and with the retention that Debian's has."""
    return serve_history([Span("up", {"job": "node"}, BEGIN, END)], retention="15d")


def make_database(path: Path, *users: str) -> None:
    session = orm.new_session_factory(f"sqlite:///{path}")()
    made = [orm.User(name=one) for one in users]
    session.add_all([*made, orm.Group(name="students", users=made)])
    session.commit()
    session.close()


@pytest.fixture
def doctor(tmp_path, capsys) -> Callable[..., Found]:
    def run(url: str, more: str = "", *, spawner: str = SPAWNERS[0], window: object = 7) -> Found:
        path = tmp_path / "jupyterhub_config.py"
        make = CONFIG.format(spawner=spawner, port=free_port(), url=url)
        path.write_text(f"{make}{POLICY.replace('WINDOW', str(window))}\n{more}\n")
        cli.main(["doctor", "--config", str(path), "--json"])
        found: Found = json.loads(capsys.readouterr().out)["findings"]
        return found

    return run


def said(found: Found, *checks: str) -> str:
    """All that is said, and advised, by these checks."""
    return " ".join(
        f"{one['says']} {one['cure'] or ''}"
        for one in found
        if not checks or one["check"] in checks
    )


# --- one machine ---------------------------------------------------------------------------------


@pytest.mark.parametrize("spawner", SPAWNERS)
def test_a_healthy_machine(doctor, scraped, tmp_path, spawner):
    make_database(tmp_path / "jupyterhub.sqlite", "alice")
    found = doctor(scraped, spawner=spawner)
    wrong = {one["check"] for one in found if one["status"] in ("failed", "warning")}
    assert wrong == {"hub-metrics"}, "the history has no such series"
    for check in ("users", "groups"):
        assert [one["status"] for one in found if one["check"] == check] == ["ok"], (
            "the database beside the configuration is read, wherever one stands"
        )


@pytest.mark.parametrize("spawner", SPAWNERS)
@pytest.mark.parametrize("case", ["nothing answers", "nothing is scraped", "a long window"])
def test_nothing_of_kubernetes_is_advised(doctor, empty, spawner, case):
    url = f"http://127.0.0.1:{free_port()}" if case == "nothing answers" else empty
    window = 90 if case == "a long window" else 7
    found = doctor(url, spawner=spawner, window=window)
    assert {one["status"] for one in found} >= {"failed"}
    text = said(found)
    assert [word for word in OF_KUBERNETES if word in text] == []


def test_how_one_machine_is_scraped(doctor, empty):
    found = doctor(empty, "c.JupyterHub.hub_port = 15001")
    for check in ("source", "hub-metrics"):
        assert ":15001" in said(found, check)
        assert "/hub/metrics" in said(found, check)


def test_the_source_of_pods_where_there_are_none(doctor, empty):
    found = doctor(empty, "c.UsageConfig.usage_source = 'kube-state-metrics'")
    text = said(found, "source")
    assert "Servers of SystemdSpawner do not run as pods" in text
    assert "usage_source = 'hub'" in text
    assert "Scrape kube-state-metrics" not in text


def test_a_pod_of_zero_to_jupyterhub(doctor, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    text = said(doctor(f"http://127.0.0.1:{free_port()}"), "prometheus")
    assert "can this pod reach it?" in text
    assert "127.0.0.1 is this pod itself" in text
    assert "NetworkPolicy" in text


# --- The Littlest JupyterHub ---------------------------------------------------------------------

TLJH = """
import os
from glob import glob

c = get_config()
c.JupyterHub.hub_port = 15001
prefix = os.environ["TLJH_INSTALL_PREFIX"]
for part in sorted(glob(os.path.join(prefix, "config", "jupyterhub_config.d", "*.py"))):
    load_subconfig(part)
"""
"""What its own file does, as far as it matters."""


def test_the_littlest_jupyterhub(tmp_path, empty, monkeypatch, capsys):
    """A part of the configuration is examined with the whole, and the state is where it keeps it;
    one may stand anywhere.
    """
    prefix, hub = tmp_path / "tljh", tmp_path / "site-packages"
    part = prefix / "config/jupyterhub_config.d/usage-quotas.py"
    for one in (part.parent, prefix / "state", hub / "tljh"):
        one.mkdir(parents=True)
    (hub / "tljh/__init__.py").write_text("")
    (hub / "tljh/jupyterhub_config.py").write_text(TLJH)
    text = CONFIG.format(spawner=SPAWNERS[0], port=15001, url=empty)
    part.write_text(
        text.replace("c.JupyterHub.hub_port = 15001\n", "") + POLICY.replace("WINDOW", "7")
    )
    make_database(prefix / "state/jupyterhub.sqlite", "alice")
    monkeypatch.setenv("TLJH_INSTALL_PREFIX", str(prefix))
    monkeypatch.syspath_prepend(str(hub))
    monkeypatch.delitem(sys.modules, "tljh", raising=False)
    monkeypatch.chdir(tmp_path)
    cli.main(["doctor", "--config", str(part), "--json"])
    found: Found = json.loads(capsys.readouterr().out)["findings"]
    assert ":15001" in said(found, "source")
    assert "http://127.0.0.1:15001" in said(found, "network")
    assert [one["status"] for one in found if one["check"] == "groups"] == ["ok"]


# --- what answers where Prometheus is looked for -------------------------------------------------

HTML = "text/html"
OF_GO = b"Client sent an HTTP request to an HTTPS server.\n"
OF_NGINX = b"<html><h1>The plain HTTP request was sent to HTTPS port</h1></html>"


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """The URL of a server that answers this to whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer(b"{}", 403, headers=(("X-JupyterHub-Version", "5.4.0"),)),
            "address of a JupyterHub (5.4.0)",
        ),
        (
            Answer(b"404", 404, HTML, headers=(("X-JupyterHub-Version", "6.1.1"),)),
            "address of a JupyterHub (6.1.1)",
        ),
        (Answer(OF_GO, 400, "text/plain"), "with https://"),
        (Answer(OF_NGINX, 400, HTML), "with https://"),
        (Answer(b"", 301, HTML, headers=(("Location", "https://prometheus/"),)), "with https://"),
        (Answer(b"", 302, HTML, headers=(("Location", "/oauth2/start"),)), "a page to log in"),
        (Answer(b"<title>Grafana</title>", 401, HTML), "This is Grafana"),
    ],
)
def test_what_answers_is_named(doctor, answer, words):
    with answering(answer) as url:
        text = said(doctor(url), "prometheus")
    assert words in text
    assert "prometheus_auth" not in text


def test_a_prometheus_without_tls(doctor, scraped):
    text = said(doctor(scraped.replace("http:", "https:")), "prometheus")
    assert "with http:// in front" in text
