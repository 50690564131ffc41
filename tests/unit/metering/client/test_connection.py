"""Who we are to Prometheus and whom we trust: headers, tokens, certificates. AWS is elsewhere."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import respx
from cryptography.hazmat.primitives import serialization

from jupyterhub_usage_quotas import errors
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.metering.client.connection import ANONYMOUS, Connection, SigV4
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.client.tls import TlsFiles, why_unreachable
from tests.support.certificates import Authority, Pair

URL = "https://prometheus.test/prefix"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOOD = {"status": "success", "data": {"resultType": "vector", "result": []}}


@pytest.fixture
def server():
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router


async def ask(access: Connection) -> None:
    client = PrometheusClient(URL, connection=access)
    try:
        await client.query("up", NOW)
    finally:
        await client.aclose()


def sent(route: respx.Route, header: str) -> list[str | None]:
    return [call.request.headers.get(header) for call in route.calls]


# --- headers -------------------------------------------------------------------------------------


async def test_who_is_anonymous_sends_no_credentials(server):
    route = server.post("/api/v1/query").respond(json=GOOD)
    await ask(ANONYMOUS)
    assert sent(route, "authorization") == [None]


async def test_headers_are_sent_with_every_request(server):
    route = server.post("/api/v1/query").respond(json=GOOD)
    client = PrometheusClient(
        URL, connection=Connection(headers={"X-Scope-OrgID": "hub|lab", "X-Name": "Zürich"})
    )
    for _ in range(2):
        await client.query("up", NOW)
    await client.aclose()
    assert sent(route, "x-scope-orgid") == ["hub|lab", "hub|lab"]
    raw = dict(route.calls.last.request.headers.raw)
    assert raw[b"X-Name"] == b"Z\xfcrich"
    assert raw[b"Content-Type"] == b"application/x-www-form-urlencoded"


async def test_headers_go_with_credentials(server):
    route = server.post("/api/v1/query").respond(json=GOOD)
    await ask(Connection(auth=("ü", "p:w"), headers={"THANOS-TENANT": "hub"}))
    (basic,) = sent(route, "authorization")
    assert base64.b64decode(basic.removeprefix("Basic ")) == "ü:p:w".encode()
    assert sent(route, "thanos-tenant") == ["hub"]


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"X-Scope-OrgID": "s3cret\r\nX-Admin: yes"}, "X-Scope-OrgID must be one line of Latin-1"),
        ({"X-Scope-OrgID": "s3cret\n"}, "X-Scope-OrgID must be one line of Latin-1"),
        ({"X-Scope-OrgID": " s3cret"}, "without space around it"),
        ({"X-Scope-OrgID": "s3cret\x00"}, "one line of Latin-1"),
        ({"X-Scope-OrgID": "s3cret→"}, "one line of Latin-1"),
        ({"X-Scope-OrgID": ""}, "X-Scope-OrgID must be a text that is not empty"),
        ({"X-Scope-OrgID": 42}, "X-Scope-OrgID must be a text"),
        ({"X-Scope-OrgID": ["s3cret"]}, "X-Scope-OrgID must be a text"),
        ({"X-Scope-OrgID": b"s3cret"}, "X-Scope-OrgID must be a text"),
        ({"X-Scope-OrgID: s3cret": "x"}, "cannot be the name of a header"),
        ({"X-Größe": "s3cret"}, "cannot be the name of a header"),
        ({"": "s3cret"}, "cannot be the name of a header"),
        ({1: "s3cret"}, "cannot be the name of a header"),
        ({"content-Length": "5"}, "content-Length belongs to the request"),
        ({"Content-Type": "text/plain"}, "Content-Type belongs to the request"),
        ({"X-A": "a", "x-a": "s3cret"}, "has x-a twice"),
    ],
)
def test_a_header_that_cannot_be_sent_is_an_error(headers, says):
    with pytest.raises(ConfigurationError) as refused:
        Connection(headers=headers)
    assert says in str(refused.value)
    assert "headers" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_all_errors_are_told_at_once():
    with pytest.raises(ConfigurationError) as refused:
        Connection(headers={"A": "", "B": "\n"}, auth=("u", "p"), bearer_token_file=Path("x"))
    assert len(refused.value.errors) == 3


def test_what_is_shown_of_it_has_no_secret():
    shown = repr(Connection(auth=("user", "s3cret"), headers={"X-Key": "s3cret"}))
    assert "s3cret" not in shown


# --- what contradicts ----------------------------------------------------------------------------

TOKEN = {"bearer_token_file": Path("token")}
BASIC = {"auth": ("u", "p")}
AWS = {"sigv4": SigV4("eu-central-1")}
HEADER = {"headers": {"authorization": "Bearer s3cret"}}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (BASIC | TOKEN, ["auth", "bearer_token_file"]),
        (BASIC | AWS, ["auth", "sigv4"]),
        (TOKEN | AWS, ["bearer_token_file", "sigv4"]),
        (BASIC | TOKEN | AWS, ["auth", "bearer_token_file", "sigv4"]),
        (BASIC | HEADER, ["auth", "Authorization in headers"]),
        (TOKEN | HEADER, ["bearer_token_file", "Authorization in headers"]),
        (AWS | HEADER, ["sigv4", "Authorization in headers"]),
    ],
)
def test_two_ways_to_authenticate_are_an_error_that_names_both(options, names):
    with pytest.raises(ConfigurationError, match="exclude each other") as refused:
        Connection(**options)
    assert all(name in str(refused.value) for name in names)
    assert "s3cret" not in str(refused.value)


def test_a_key_without_a_certificate_is_an_error_that_names_both():
    with pytest.raises(ConfigurationError) as refused:
        Connection(client_key_file=Path("key.pem"))
    assert refused.value.errors == ("client_key_file is set without client_certificate_file",)


async def test_an_authorization_header_alone_is_fine(server):
    route = server.post("/api/v1/query").respond(json=GOOD)
    await ask(Connection(**HEADER))
    assert sent(route, "authorization") == ["Bearer s3cret"]


# --- bearer tokens that are renewed --------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def replace(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("written", ["t0k.en-_~+/=", "t0k.en-_~+/=\n", "\n t0k.en-_~+/=\r\n"])
async def test_space_around_a_token_is_not_sent(server, token_file, written):
    route = server.post("/api/v1/query").respond(json=GOOD)
    token_file.write_bytes(written.encode())
    await ask(Connection(bearer_token_file=token_file))
    assert sent(route, "authorization") == ["Bearer t0k.en-_~+/="]


async def test_a_token_that_is_replaced_between_requests_is_used(server, token_file):
    route = server.post("/api/v1/query").respond(json=GOOD)
    client = PrometheusClient(URL, connection=Connection(bearer_token_file=token_file))
    await client.query("up", NOW)
    replace(token_file, "second")
    await client.query("up", NOW)
    await client.aclose()
    assert sent(route, "authorization") == ["Bearer first", "Bearer second"]


async def test_a_token_that_is_replaced_while_it_is_refused_is_tried_at_once(server, token_file):
    def refuse_the_first(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == "Bearer second":
            assert request.content.startswith(b"query=up&time="), "the same request"
            return httpx.Response(200, json=GOOD)
        replace(token_file, "second\n")
        return httpx.Response(401)

    route = server.post("/api/v1/query").mock(side_effect=refuse_the_first)
    await ask(Connection(bearer_token_file=token_file))
    assert sent(route, "authorization") == ["Bearer first", "Bearer second"]


async def test_a_renewed_token_is_tried_once(server, token_file):
    numbers = iter(range(9))

    def refuse(_request: httpx.Request) -> httpx.Response:
        replace(token_file, f"token-{next(numbers)}")
        return httpx.Response(401)

    route = server.post("/api/v1/query").mock(side_effect=refuse)
    with pytest.raises(errors.PrometheusUnauthorized, match="401"):
        await ask(Connection(bearer_token_file=token_file))
    assert sent(route, "authorization") == ["Bearer first", "Bearer token-0"]


@pytest.mark.parametrize("status", [401, 403])
async def test_the_same_token_is_not_tried_again(server, token_file, status):
    route = server.post("/api/v1/query").respond(status)
    with pytest.raises(errors.PrometheusUnauthorized, match=str(status)):
        await ask(Connection(bearer_token_file=token_file))
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"cannot be read \(No such file or directory\)"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"s3cret\ns3cret", "holds no token"),
        (b"Bearer s3cret", "holds no token"),
        (b"s3cret\x00", "holds no token"),
        ("s3crét".encode(), "holds no token"),
        (b"s3cret" * 20_000, "holds no token"),
    ],
)
async def test_a_file_without_a_token_says_so_and_nothing_is_sent(
    server, token_file, content, says
):
    route = server.post("/api/v1/query").respond(json=GOOD)
    if content is None:
        token_file.unlink()
    else:
        token_file.write_bytes(content)
    with pytest.raises(errors.PrometheusUnauthorized, match=says) as refused:
        await ask(Connection(bearer_token_file=token_file))
    assert "bearer_token_file" in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert route.call_count == 0


# --- certificates --------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


def server_context(authority: Authority) -> ssl.SSLContext:
    """A server that demands a client certificate of the same CA."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    pair = authority.issue("prometheus.test")
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> bytes | None:
    """A TLS handshake without a network; returns the client's certificate as the server saw it."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="prometheus.test"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].getpeercert(binary_form=True)


def in_binary(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())


def options_of(access: Connection) -> tuple[ssl.SSLContext, TlsFiles]:
    options = access.client_options()
    (renew,) = options["event_hooks"]["request"]
    return options["verify"], renew


REQUEST = httpx.Request("POST", URL)


async def test_the_client_certificate_is_shown_and_followed_when_it_is_replaced(authority):
    pair, server = authority.issue("hub"), server_context(authority)
    context, renew = options_of(
        Connection(
            ca_file=authority.file,
            client_certificate_file=pair.certificate,
            client_key_file=pair.key,
        )
    )
    first = in_binary(pair)
    assert shake_hands(context, server) == first

    renewed = authority.issue("hub-renewed")
    second = in_binary(renewed)
    renewed.certificate.replace(pair.certificate)
    await renew(REQUEST)
    assert shake_hands(context, server) == first, "the key is not there yet"

    renewed.key.replace(pair.key)
    await renew(REQUEST)
    assert shake_hands(context, server) == second

    pair.key.unlink()
    await renew(REQUEST)
    assert shake_hands(context, server) == second, "what was loaded stays"


async def test_without_a_client_certificate_none_is_shown(authority):
    context, renew = options_of(Connection(ca_file=authority.file))
    await renew(REQUEST)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(context, server_context(authority))


async def test_a_ca_file_that_breaks_leaves_what_was_trusted(authority):
    pair, server = authority.issue("hub"), server_context(authority)
    context, renew = options_of(
        Connection(
            ca_file=authority.file,
            client_certificate_file=pair.certificate,
            client_key_file=pair.key,
        )
    )
    replace(authority.file, "-----BEGIN CERTIFICATE-----\nhalf")
    await renew(REQUEST)
    assert shake_hands(context, server) == in_binary(pair)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context, server_context(Authority(authority.file.parent / "another")))


def test_only_the_given_ca_is_trusted(authority):
    context, _ = options_of(Connection(ca_file=authority.file))
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_without_a_ca_file_public_ones_are_trusted(authority):
    pair = authority.issue("hub")
    context, _ = options_of(
        Connection(client_certificate_file=pair.certificate, client_key_file=pair.key)
    )
    assert len(context.get_ca_certs()) > 20
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def encrypted(pair: Pair) -> Path:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    path = pair.key.with_name("encrypted.pem")
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"s3cret"),
        )
    )
    return path


@pytest.mark.parametrize(
    "wrong", ["of another", "encrypted", "a certificate", "empty", "missing", "a folder", None]
)
def test_a_key_that_is_not_the_certificates_is_an_error_that_names_both(authority, wrong):
    pair = authority.issue("hub")
    key_file = {
        "of another": lambda: authority.issue("another").key,
        "encrypted": lambda: encrypted(pair),
        "a certificate": lambda: pair.certificate,
        "empty": lambda: Path(os.devnull),
        "missing": lambda: Path("s3cret"),
        "a folder": lambda: pair.key.parent,
        None: lambda: None,
    }[wrong]()
    access = Connection(client_certificate_file=pair.certificate, client_key_file=key_file)
    with pytest.raises(ConfigurationError) as refused:
        access.client_options()
    (error,) = refused.value.errors
    assert "client_certificate_file" in error
    assert "client_key_file" in error
    assert "s3cret" not in error


def test_nobody_is_asked_for_the_passphrase_of_a_key(authority):
    """Without a terminal, OpenSSL would ask for it on the standard input."""
    pair = authority.issue("hub")
    script = (
        "import sys; from pathlib import Path\n"
        "from jupyterhub_usage_quotas.metering.client.tls import check_pair\n"
        "check_pair(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, pair.certificate, encrypted(pair)],
        input="s3cret\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 1
    assert "without a passphrase" in done.stderr
    assert "pass phrase:" not in done.stderr


# --- why there is no connection ------------------------------------------------------------------


def broken(error: type[httpx.TransportError], url: str) -> Exception:
    """An error without words, and what caused it, as httpx raises it."""
    try:
        try:
            raise ConnectionResetError(104, "Connection reset by peer")
        except OSError as cause:
            raise error("", request=httpx.Request("POST", url)) from cause
    except httpx.TransportError as caught:
        return caught


def test_the_first_words_of_an_error_are_told():
    told = why_unreachable(broken(httpx.ReadError, "http://prometheus:9090"))
    assert told == "ReadError: [Errno 104] Connection reset by peer"
    assert why_unreachable(httpx.ConnectError("refused")) == "ConnectError: refused"
    assert why_unreachable(httpx.ConnectError("")) == "ConnectError: "


async def test_an_error_of_tls_itself_is_a_prometheus_that_cannot_be_reached(server):
    """Some versions of httpx let it through."""
    error = ssl.SSLError(1, "tlsv13 alert certificate required")
    server.post("/api/v1/query").mock(side_effect=error)
    client = PrometheusClient(URL)
    client.attempts = 1
    with pytest.raises(errors.PrometheusUnreachable, match="certificate required"):
        await client.query("up", NOW)
    await client.aclose()


@pytest.mark.parametrize("error", [httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
def test_a_tls_connection_that_breaks_may_want_a_client_certificate(error):
    told = why_unreachable(broken(error, "https://prometheus"))
    assert "Connection reset by peer" in told
    assert "client certificate" in told
    assert "client certificate" in why_unreachable(ssl.SSLError(1, "alert certificate required"))
