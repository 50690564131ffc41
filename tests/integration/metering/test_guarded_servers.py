"""Reaching servers that are guarded: a real Prometheus with TLS, client certificates and passwords.

And, for what Prometheus itself does not know, a small server that asks for a bearer token.
"""

from __future__ import annotations

import contextlib
import json
import logging
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import bcrypt
import httpx
import pytest

from jupyterhub_usage_quotas import errors
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from tests.support.certificates import Authority, Pair
from tests.support.programs import Program, find_program, free_port

USER, PASSWORD = "quotas", "pass-s3cret"
PREFIX = "/team/prometheus"


def files_of(pair: Pair) -> dict[str, str]:
    return {
        "prometheus_client_certificate_file": str(pair.certificate),
        "prometheus_client_key_file": str(pair.key),
    }


class Guarded:
    """A running Prometheus, and what is needed to be let in."""

    def __init__(self, url: str, authority: Authority) -> None:
        self.url = url
        self.authority = authority
        client = authority.issue("the-hub")
        self.right = {
            "prometheus_url": url,
            "prometheus_auth": {"username": USER, "password": PASSWORD},
            "prometheus_ca_file": str(authority.file),
            **files_of(client),
        }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    directory = tmp_path_factory.mktemp("guarded")
    authority = Authority(directory / "authority")
    server, probe = authority.issue("127.0.0.1"), authority.issue("probe")
    web = {
        "tls_server_config": {
            "cert_file": str(server.certificate),
            "key_file": str(server.key),
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": str(authority.file),
        },
        "basic_auth_users": {
            USER: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
        },
    }
    # JSON is YAML.
    (directory / "web.yml").write_text(json.dumps(web))
    (directory / "prometheus.yml").write_text("{}")
    url = f"https://127.0.0.1:{free_port()}{PREFIX}"
    command = [
        find_program("prometheus", "on Debian, `apt-get install prometheus`"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={httpx.URL(url).netloc.decode()}",
        f"--web.config.file={directory / 'web.yml'}",
        f"--web.external-url={url}",
        f"--web.route-prefix={PREFIX}",
    ]
    context = ssl.create_default_context(cafile=authority.file)
    context.load_cert_chain(probe.certificate, probe.key)

    def ready() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            asked = {"verify": context, "auth": (USER, PASSWORD), "trust_env": False}
            return httpx.get(f"{url}/-/ready", **asked).is_success
        return False

    with Program(command, directory / "prometheus.log") as program:
        program.wait_until(ready)
        yield Guarded(url, authority)


@contextlib.asynccontextmanager
async def client_of(**options: object):
    """A client as the options make it, and as the Hub would use it."""
    config = UsageConfig(**options)
    assert config.errors_together() == []
    client = PrometheusClient(config.shown_prometheus_url, connection=config.make_connection())
    client.attempts = 1
    try:
        yield client
    finally:
        await client.aclose()


async def value_of(client: PrometheusClient) -> float:
    (series,) = await client.query("vector(42)", datetime.now(UTC))
    return series.samples[0][1]


async def test_who_has_everything_is_let_in(guarded):
    async with client_of(**guarded.right) as client:
        assert await value_of(client) == 42


async def test_a_slash_at_the_end_of_the_prefix_does_no_harm(guarded):
    async with client_of(**guarded.right | {"prometheus_url": guarded.url + "/"}) as client:
        assert await value_of(client) == 42


async def test_without_the_prefix_it_is_not_found(guarded):
    url = guarded.url.removesuffix(PREFIX)
    async with client_of(**guarded.right | {"prometheus_url": url}) as client:
        with pytest.raises(errors.BadAnswer, match="404"):
            await value_of(client)


async def test_credentials_may_be_in_the_url(guarded):
    url = guarded.url.replace("https://", f"https://{USER}:{PASSWORD}@")
    options = guarded.right | {"prometheus_url": url, "prometheus_auth": {}}
    async with client_of(**options) as client:
        assert await value_of(client) == 42


@pytest.mark.parametrize("known", ["public CAs", "another CA"])
async def test_a_certificate_of_a_ca_that_is_not_trusted_is_refused(guarded, tmp_path, known):
    ca_file = "" if known == "public CAs" else str(Authority(tmp_path).file)
    async with client_of(**guarded.right | {"prometheus_ca_file": ca_file}) as client:
        with pytest.raises(errors.PrometheusUnreachable, match="certificate verify failed"):
            await value_of(client)


async def test_a_certificate_for_another_host_is_refused(guarded):
    url = guarded.url.replace("127.0.0.1", "localhost")
    async with client_of(**guarded.right | {"prometheus_url": url}) as client:
        with pytest.raises(errors.PrometheusUnreachable, match="Hostname mismatch"):
            await value_of(client)


async def test_who_has_no_client_certificate_is_told_so(guarded):
    none = {"prometheus_client_certificate_file": "", "prometheus_client_key_file": ""}
    async with client_of(**guarded.right | none) as client:
        with pytest.raises(errors.PrometheusUnreachable, match="demands a client certificate"):
            await value_of(client)


async def test_a_client_certificate_is_used_as_soon_as_it_is_renewed(guarded, tmp_path):
    pair = Authority(tmp_path).issue("the-hub")
    async with client_of(**guarded.right | files_of(pair)) as client:
        with pytest.raises(errors.PrometheusUnreachable, match="demands a client certificate"):
            await value_of(client)
        renewed = guarded.authority.issue("renewed")
        renewed.key.replace(pair.key)
        renewed.certificate.replace(pair.certificate)
        assert await value_of(client) == 42


async def test_a_ca_that_is_added_is_trusted_at_once(guarded, tmp_path):
    authority = Authority(tmp_path)
    options = guarded.right | {"prometheus_ca_file": str(authority.file)}
    async with client_of(**options) as client:
        with pytest.raises(errors.PrometheusUnreachable):
            await value_of(client)
        with authority.file.open("a") as file:
            file.write(guarded.authority.file.read_text())
        assert await value_of(client) == 42


async def test_certificate_and_key_may_be_in_one_file(guarded, tmp_path):
    pair = guarded.authority.issue("in-one-file")
    both = tmp_path / "both.pem"
    both.write_text(pair.certificate.read_text() + pair.key.read_text())
    one = {"prometheus_client_certificate_file": str(both), "prometheus_client_key_file": ""}
    async with client_of(**guarded.right | one) as client:
        assert await value_of(client) == 42


@pytest.mark.parametrize(
    "auth", [{}, {"username": USER, "password": "wrong-s3cret"}], ids=["none", "wrong"]
)
async def test_who_has_the_wrong_password_is_unauthorized(guarded, auth):
    async with client_of(**guarded.right | {"prometheus_auth": auth}) as client:
        with pytest.raises(errors.PrometheusUnauthorized, match="401"):
            await value_of(client)


async def test_nothing_that_is_logged_has_the_password_in_it(guarded, caplog):
    caplog.set_level(logging.DEBUG)
    in_url = guarded.url.replace("https://", f"https://{USER}:{PASSWORD}@")
    for options in (
        guarded.right,
        guarded.right | {"prometheus_url": in_url, "prometheus_auth": {}},
        guarded.right | {"prometheus_auth": {"username": USER, "password": "wrong-s3cret"}},
    ):
        async with client_of(**options) as client:
            with contextlib.suppress(errors.PrometheusUnauthorized):
                await value_of(client)
    assert "HTTP Request: POST" in caplog.text
    assert "s3cret" not in caplog.text


# --- what a proxy in front of Prometheus asks for ------------------------------------------------


class Gate(ThreadingHTTPServer):
    """Lets those in who have the token, and writes down who knocked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Knock)
        self.token = ""
        self.knocks: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/prefix"


class _Knock(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        asked = httpx.QueryParams(self.rfile.read(int(self.headers["content-length"])).decode())
        self.server.knocks.append({"path": self.path, **dict(self.headers)})
        welcome = self.headers["authorization"] == f"Bearer {self.server.token}"
        result = [{"metric": {}, "value": [float(asked["time"]), "42"]}]
        answer = {"status": "success", "data": {"resultType": "vector", "result": result}}
        body = json.dumps(answer if welcome else {"status": "error"}).encode()
        self.send_response(200 if welcome else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def gate():
    with Gate() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_a_tenant_and_a_token_arrive_and_a_renewed_token_is_used(gate, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    # As Kubernetes does it: a link to a directory is replaced.
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "token").write_text(f"s3cret-{number}\n")
    (tmp_path / "data").symlink_to("1")
    gate.token = "s3cret-1"
    async with client_of(
        prometheus_url=gate.url,
        prometheus_bearer_token_file=str(tmp_path / "data" / "token"),
        prometheus_headers={"X-Scope-OrgID": "s3cret-tenant"},
    ) as client:
        assert await value_of(client) == 42
        gate.token = "s3cret-2"
        with pytest.raises(errors.PrometheusUnauthorized) as refused:
            await value_of(client)
        assert "s3cret" not in str(refused.value)
        (tmp_path / "next").symlink_to("2")
        (tmp_path / "next").replace(tmp_path / "data")
        assert await value_of(client) == 42
    tokens = [knock["Authorization"] for knock in gate.knocks]
    assert tokens == ["Bearer s3cret-1", "Bearer s3cret-1", "Bearer s3cret-2"]
    assert {knock["X-Scope-OrgID"] for knock in gate.knocks} == {"s3cret-tenant"}
    assert {knock["path"] for knock in gate.knocks} == {"/prefix/api/v1/query"}
    assert "HTTP Request: POST" in caplog.text
    assert "s3cret" not in caplog.text
