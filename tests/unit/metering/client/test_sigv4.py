"""Requests signed for AWS, checked by signing them again as AWS' documentation says.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import httpx
import pytest
import respx
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager, errors
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.metering.client.connection import Connection, SigV4
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient

URL = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOOD = {"status": "success", "data": {"resultType": "vector", "result": []}}
ACCESS = Connection(sigv4=SigV4("eu-central-1"), headers={"X-Tenant": "hub"})


# --- the oracle ----------------------------------------------------------------------------------


def canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> str:
    """Step 1; `path` as it was sent, `headers` are those that are signed."""
    pairs = parse_qsl(query, keep_blank_values=True)
    sorted_query = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in pairs)
    names = sorted(name.lower() for name in headers)
    lower = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    return "\n".join(
        [
            method,
            quote(path, safe="/"),
            "&".join(f"{name}={value}" for name, value in sorted_query),
            *(f"{name}:{lower[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )


def signature(secret: str, instant: str, region: str, service: str, canonical: str) -> str:
    """Steps 2 to 4."""
    scope = f"{instant[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{instant}\n{scope}\n{digest}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def test_the_oracle_agrees_with_the_example_that_aws_published():
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
    }
    query = "Action=ListUsers&Version=2010-05-08"
    canonical = canonical_request("GET", "/", query, headers, b"")
    assert hashlib.sha256(canonical.encode()).hexdigest() == (
        "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
    )
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert signature(secret, headers["X-Amz-Date"], "us-east-1", "iam", canonical) == (
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def check_signature(
    request: httpx.Request,
    key: str,
    secret: str,
    region: str = "eu-central-1",
    service: str = "aps",
) -> list[str]:
    """Check that a request is signed as it was sent; returns the names of the signed headers."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})",
        request.headers["authorization"],
    )
    assert found
    credential, names, given = found.groups()
    instant = request.headers["x-amz-date"]
    assert credential == f"{key}/{instant[:8]}/{region}/{service}/aws4_request"
    path, _, query = request.url.raw_path.decode().partition("?")
    signed = {name: request.headers[name] for name in names.split(";")}
    canonical = canonical_request(request.method, path, query, signed, request.content)
    assert given == signature(secret, instant, region, service, canonical)
    return names.split(";")


# --- what is sent --------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch, tmp_path):
    """No credentials but those of a test, and no network to look for them."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret/key+")


@pytest.fixture
def server():
    with respx.mock(assert_all_called=False) as router:
        router.post(path__regex=".*/api/v1/query").respond(json=GOOD)
        yield router


@contextlib.asynccontextmanager
async def client_of(access: Connection = ACCESS, url: str = URL):
    client = PrometheusClient(url, connection=access)
    client.attempts = 1
    try:
        yield client
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    "url",
    [URL, f"{URL}/", "http://localhost:8005/a%20path/ü~x", "https://host:443/x", "https://[::1]"],
)
@pytest.mark.parametrize("query", ["up", 'sum by (a) ({b="ü \\" %2F+&c=d"}) > 0\n'])
async def test_what_is_sent_is_signed(server, keys, url, query):
    async with client_of(url=url) as client:
        await client.query(query, NOW)
    request = server.calls.last.request
    assert query in dict(parse_qsl(request.content.decode())).values(), "the body is signed"
    names = check_signature(request, "AKID", "s3cret/key+")
    assert {"host", "x-amz-date", "content-type"} == set(names)
    assert "x-amz-security-token" not in request.headers
    assert request.headers["x-tenant"] == "hub"


async def test_another_region_and_service(server, keys):
    async with client_of(Connection(sigv4=SigV4("us-gov-west-1", "execute-api"))) as client:
        await client.query("up", NOW)
    request = server.calls.last.request
    check_signature(request, "AKID", "s3cret/key+", "us-gov-west-1", "execute-api")


async def test_a_host_that_the_admin_names_is_what_is_signed(server, keys):
    access = Connection(sigv4=SigV4("eu-central-1"), headers={"Host": "another.example"})
    async with client_of(access) as client:
        await client.query("up", NOW)
    request = server.calls.last.request
    assert request.headers["host"] == "another.example"
    assert "host" in check_signature(request, "AKID", "s3cret/key+")


async def test_a_session_token_is_sent_and_signed(server, keys, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session/token==")
    async with client_of() as client:
        await client.query("up", NOW)
    request = server.calls.last.request
    assert request.headers["x-amz-security-token"] == "session/token=="
    assert "x-amz-security-token" in check_signature(request, "AKID", "s3cret/key+")


async def test_credentials_that_expire_are_renewed_between_requests(server, keys, monkeypatch):
    soon = datetime.now(UTC) + timedelta(minutes=5)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", soon.isoformat())
    monkeypatch.setenv("AWS_SESSION_TOKEN", "first")
    async with client_of() as client:
        await client.query("up", NOW)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID2")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret2")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "second")
        await client.query("up", NOW)
    first, second = (call.request for call in server.calls)
    check_signature(first, "AKID", "s3cret/key+")
    check_signature(second, "AKID2", "s3cret2")
    assert second.headers["x-amz-security-token"] == "second"


async def test_an_attempt_after_a_failure_is_signed_too(server, keys):
    server.routes.clear()
    server.post(path__regex=".*").mock(
        side_effect=[httpx.Response(503), httpx.Response(200, json=GOOD)]
    )
    async with client_of() as client:
        client.attempts = 2
        await client.query("up", NOW)
    assert len(server.calls) == 2
    for call in server.calls:
        check_signature(call.request, "AKID", "s3cret/key+")


async def test_nothing_that_is_logged_has_a_secret_in_it(server, keys, monkeypatch, caplog):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "s3cret-token")
    caplog.set_level(logging.DEBUG)
    async with client_of() as client:
        await client.query("up", NOW)
    assert "HTTP Request: POST" in caplog.text
    assert "s3cret" not in caplog.text


# --- where credentials come from -----------------------------------------------------------------


async def test_no_credentials_is_unauthorized_and_nothing_is_sent(server):
    async with client_of() as client:
        with pytest.raises(errors.PrometheusUnauthorized, match="no AWS credentials"):
            await client.query("up", NOW)
    assert not server.calls


async def test_credentials_that_appear_later_are_found(server, monkeypatch):
    async with client_of() as client:
        with pytest.raises(errors.PrometheusUnauthorized):
            await client.query("up", NOW)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "later")
        await client.query("up", NOW)
    check_signature(server.calls.last.request, "AKID", "later")


async def test_half_of_the_credentials_says_which_half_is_missing(server, keys, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with client_of() as client:
        with pytest.raises(errors.PrometheusUnauthorized, match="AWS_SECRET_ACCESS_KEY") as refused:
            await client.query("up", NOW)
    assert "sigv4" in str(refused.value)


def credential_process(tmp_path, script: str) -> None:
    """Have a program give the credentials."""
    program = tmp_path / "program.py"
    program.write_text(script)
    (tmp_path / "config").write_text(f"[default]\ncredential_process={sys.executable} {program}\n")


async def test_what_a_failing_program_wrote_is_not_told(server, tmp_path):
    credential_process(tmp_path, "raise SystemExit('s3cret')")
    async with client_of() as client:
        with pytest.raises(
            errors.PrometheusUnauthorized, match="CredentialRetrievalError"
        ) as refused:
            await client.query("up", NOW)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__, "a traceback does not tell it either"


async def test_the_event_loop_goes_on_while_credentials_are_fetched(server, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    credential_process(tmp_path, f"print(open({str(pipe)!r}).read())")
    loop_went_on = threading.Event()
    seen: list[bool] = []

    def give() -> None:
        seen.append(loop_went_on.wait(20))
        given = {"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "piped"}
        pipe.write_text(json.dumps(given))

    giver = threading.Thread(target=give)
    giver.start()
    async with client_of() as client:
        asking = asyncio.create_task(client.query("up", NOW))
        asyncio.get_running_loop().call_soon(loop_went_on.set)
        await asking
    giver.join()
    assert seen == [True]
    check_signature(server.calls.last.request, "AKID", "piped")


# --- the extra -----------------------------------------------------------------------------------


def hub_with(**options: object) -> UsageQuotaManager:
    return UsageQuotaManager(config=Config(UsageConfig=options))


def test_without_botocore_the_hub_does_not_start_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)  # what Python does for a missing package
    with pytest.raises(ConfigurationError) as refused:
        hub_with(prometheus_sigv4={"region": "eu-central-1"})
    (error,) = refused.value.errors
    assert error.startswith("UsageConfig.prometheus_sigv4: ")
    assert "pip install 'botocore>=1.31'" in error
    with pytest.raises(ConfigurationError, match=r"botocore>=1\.31"):
        ACCESS.client_options()


def test_without_botocore_everything_else_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    assert hub_with().make_connection() == Connection()
