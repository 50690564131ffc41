"""The options that say how Prometheus is reached, as an admin writes them."""

from __future__ import annotations

import itertools
import logging
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import respx
from traitlets import TraitError
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.errors import ConfigurationError, PrometheusUnauthorized
from jupyterhub_usage_quotas.metering.client.connection import Connection, SigV4
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from tests.support.certificates import Authority
from tests.support.decisions import decided_by

OPTIONS = {
    "prometheus_url",
    "prometheus_auth",
    "prometheus_bearer_token_file",
    "prometheus_headers",
    "prometheus_ca_file",
    "prometheus_client_certificate_file",
    "prometheus_client_key_file",
    "prometheus_sigv4",
}
HTTPS = "https://prometheus.test/prefix"


def hub_with(section: str = "UsageConfig", **options: object) -> UsageQuotaManager:
    return UsageQuotaManager(config=Config({section: options}))


def errors_of(**options: object) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        hub_with(**options)
    assert "s3cret" not in str(refused.value)
    return refused.value.errors


@pytest.fixture
def files(tmp_path):
    """A file for every option that names one, all of them good."""
    authority = Authority(tmp_path)
    pair = authority.issue("hub")
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    return {
        "prometheus_bearer_token_file": token,
        "prometheus_ca_file": authority.file,
        "prometheus_client_certificate_file": pair.certificate,
        "prometheus_client_key_file": pair.key,
    }


@pytest.mark.parametrize("cls", [UsageConfig, UsageQuotaManager])
def test_every_part_has_the_options(cls):
    assert set(cls.class_trait_names(config=True)) >= OPTIONS


@pytest.mark.parametrize("section", ["UsageConfig", "UsageQuotaManager"])
@pytest.mark.parametrize("written_as", [str, Path])
def test_options_make_the_access(files, section, written_as):
    options = {name: written_as(path) for name, path in files.items()}
    made = hub_with(section, prometheus_url=HTTPS, prometheus_headers={"A": "b"}, **options)
    assert made.make_connection() == Connection(
        bearer_token_file=files["prometheus_bearer_token_file"],
        headers={"A": "b"},
        ca_file=files["prometheus_ca_file"],
        client_certificate_file=files["prometheus_client_certificate_file"],
        client_key_file=files["prometheus_client_key_file"],
    )


async def test_what_goes_wrong_later_names_the_options_as_they_are_written(files):
    options = {name: str(path) for name, path in files.items()}
    client = hub_with(prometheus_url=HTTPS, **options).make_client()
    files["prometheus_bearer_token_file"].unlink()
    with pytest.raises(PrometheusUnauthorized, match="prometheus_bearer_token_file names"):
        await client.query("up", datetime.now(UTC))
    await client.aclose()


def test_without_options_there_is_nothing_special():
    assert hub_with().make_connection() == Connection()


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ({"region": "eu-central-1"}, SigV4("eu-central-1", "aps")),
        (({"region": "eu-central-1"},), SigV4("eu-central-1", "aps")),
        ({"region": "us-east-1", "service": "es"}, SigV4("us-east-1", "es")),
        ({}, None),
        (None, None),
    ],
)
def test_sigv4(given, means):
    assert hub_with(prometheus_sigv4=given).make_connection().sigv4 == means


def test_headers_may_be_added_one_by_one():
    config = Config()
    config.UsageConfig.prometheus_headers.update({"X-Scope-OrgID": "hub"})
    made = UsageQuotaManager(config=config)
    assert made.make_connection().headers == {"X-Scope-OrgID": "hub"}


async def test_a_decision_is_made_with_them(files):
    with respx.mock(base_url=HTTPS, assert_all_called=False) as router:
        route = router.route().mock(return_value=httpx.Response(404))
        made = hub_with(
            prometheus_url=HTTPS,
            prometheus_headers={"X-Scope-OrgID": "hub"},
            **{name: str(path) for name, path in files.items()},
        )
        policy = {"resource": "cpu", "limit": "1h", "window": 1, "scope": {"everyone": True}}
        made.policy = [policy | {"limit": "1 CPU-hours"}]
        await decided_by(made, Request(Subject("alice")))
        await made.aclose()
    assert route.called
    for call in route.calls:
        assert call.request.headers["authorization"] == "Bearer t0ken"
        assert call.request.headers["x-scope-orgid"] == "hub"


async def test_credentials_in_the_url_are_sent_but_are_not_in_the_url_any_more(caplog):
    caplog.set_level(logging.DEBUG)
    with respx.mock(assert_all_called=False) as router:
        route = router.route().mock(return_value=httpx.Response(404))
        made = hub_with(prometheus_url="http://us%40er:p%2Fw@prometheus.test:9090/prefix")
        made.policy = [
            {"resource": "cpu", "limit": "1 CPU-hours", "window": 1, "scope": {"everyone": True}}
        ]
        await decided_by(made, Request(Subject("alice")))
        await made.aclose()
    assert "HTTP Request: POST http://prometheus.test:9090/prefix/api/v1/query" in caplog.text
    asked = route.calls.last.request
    credentials = httpx.BasicAuth("us@er", "p/w")
    expected = next(credentials.auth_flow(httpx.Request("POST", HTTPS)))
    assert asked.headers["authorization"] == expected.headers["authorization"]


# --- errors of one option ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("prometheus_url", "ftp://user:s3cret@host", "not a URL: got 'ftp://host'"),
        ("prometheus_headers", "s3cret", "got str; expected a dict of texts"),
        ("prometheus_headers", [("X-Key", "s3cret")], "got list; expected a dict of texts"),
        ("prometheus_headers", {"X-Key": "s3cret\r\nX: y"}, "X-Key must be one line of Latin-1"),
        ("prometheus_headers", {"X-Key": "s3cret→"}, "X-Key must be one line of Latin-1"),
        ("prometheus_headers", {"X-Key": 7}, "X-Key must be a text"),
        ("prometheus_sigv4", "s3cret", "got str"),
        ("prometheus_sigv4", {"service": "aps"}, "expected a dict with the name of a region"),
        ("prometheus_sigv4", {"region": "s3cret\n"}, "expected a dict with the name of a region"),
        (
            "prometheus_sigv4",
            {"region": "eu-central-1", "secret_key": "s3cret"},
            "got ['region', 'secret_key']",
        ),
        ("prometheus_bearer_token_file", "eyJs3cret.abc", "cannot be read (No such file"),
        ("prometheus_bearer_token_file", "s3cret\n" * 999, "cannot be read (File name too long)"),
        ("prometheus_bearer_token_file", "s3cret\x00", "cannot be read (that is not a path)"),
        ("prometheus_bearer_token_file", "/", "cannot be read (Is a directory)"),
        ("prometheus_bearer_token_file", "/dev/null", "is empty"),
        ("prometheus_bearer_token_file", "/dev/zero", "holds no token"),
        ("prometheus_bearer_token_file", {"s3cret"}, "got set; expected the path of a file"),
        ("prometheus_ca_file", "/no/such/file", "cannot be read (No such file or directory)"),
        ("prometheus_ca_file", "/", "cannot be read"),
        ("prometheus_ca_file", "/dev/null", "without a usable certificate in PEM form"),
        ("prometheus_ca_file", 7, "got int; expected the path of a file"),
        ("prometheus_client_certificate_file", "/no/such/file", "cannot be read (No such file"),
        (
            "prometheus_client_certificate_file",
            "/dev/null",
            "without a usable certificate in PEM form",
        ),
        ("prometheus_client_key_file", "-----BEGIN s3cret", "cannot be read (No such file"),
    ],
)
def test_a_wrong_value_is_an_error_of_its_option_that_shows_no_secret(option, value, says):
    errors = errors_of(**{option: value})
    assert errors[0].startswith(f"UsageConfig.{option}: ")
    assert says in errors[0]
    with pytest.raises(TraitError) as refused:
        UsageConfig(**{option: value})
    assert "s3cret" not in str(refused.value)


# --- errors of several together ------------------------------------------------------------------

WAYS = {
    "prometheus_auth": {"username": "u", "password": "s3cret"},
    "prometheus_sigv4": {"region": "eu-central-1"},
    "prometheus_headers": {"authorization": "s3cret"},
    "prometheus_bearer_token_file": "",  # the file of the test
    "prometheus_url": "https://user:s3cret@prometheus.test",
}


@pytest.mark.parametrize("both", list(itertools.combinations(WAYS, 2)), ids="-".join)
def test_of_all_ways_to_authenticate_only_one_may_be_used(files, both):
    options = {name: WAYS[name] or files[name] for name in both}
    (error,) = errors_of(**options)
    assert error.startswith("UsageConfig: ")
    assert "exclude each other" in error
    assert all(name in error for name in both)


def test_credentials_of_the_environment_and_a_token_contradict_too(files, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_USERNAME", "u")
    monkeypatch.setenv("JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_PASSWORD", "s3cret")
    (error,) = errors_of(prometheus_bearer_token_file=files["prometheus_bearer_token_file"])
    assert "prometheus_auth and prometheus_bearer_token_file exclude each other" in error


def test_options_of_different_sections_contradict_too(files):
    config = Config(
        UsageConfig={"prometheus_auth": WAYS["prometheus_auth"]},
        UsageQuotaManager={"prometheus_sigv4": {"region": "eu-central-1"}},
    )
    with pytest.raises(ConfigurationError, match="prometheus_auth and prometheus_sigv4"):
        UsageQuotaManager(config=config)


CERTIFICATE = "prometheus_client_certificate_file"
KEY = "prometheus_client_key_file"


def test_a_key_needs_its_certificate(files):
    (error,) = errors_of(prometheus_url=HTTPS, **{KEY: files[KEY]})
    assert error == f"UsageConfig: {KEY} is set without {CERTIFICATE}"


def test_a_certificate_needs_its_key(files):
    (error,) = errors_of(prometheus_url=HTTPS, **{CERTIFICATE: files[CERTIFICATE]})
    assert f"{CERTIFICATE} has no usable key in its file: set {KEY}" in error


@pytest.mark.parametrize("order", [(CERTIFICATE, KEY), (KEY, CERTIFICATE)])
def test_the_order_of_options_does_not_matter(files, order):
    made = hub_with(prometheus_url=HTTPS, **{name: files[name] for name in order})
    assert made.make_connection().client_key_file == files[KEY]


def test_a_key_of_another_certificate_is_an_error_that_names_both(files, tmp_path):
    other = Authority(tmp_path / "other").issue("other")
    (error,) = errors_of(prometheus_url=HTTPS, **{CERTIFICATE: files[CERTIFICATE], KEY: other.key})
    assert CERTIFICATE in error
    assert KEY in error
    assert "KEY_VALUES_MISMATCH" in error


def test_what_was_refused_is_not_told_twice(files):
    """The certificate was given, so the key is not without one."""
    (error,) = errors_of(prometheus_url=HTTPS, **{CERTIFICATE: "/none", KEY: files[KEY]})
    assert error.startswith(f"UsageConfig.{CERTIFICATE}: ")


def test_what_was_refused_still_contradicts():
    errors = errors_of(
        prometheus_auth=WAYS["prometheus_auth"], prometheus_bearer_token_file="/no/such/file"
    )
    assert len(errors) == 2
    assert "cannot be read" in errors[0]
    assert "exclude each other" in errors[1]


@pytest.mark.parametrize("name", ["prometheus_ca_file", CERTIFICATE])
def test_certificates_without_tls_are_an_error(files, name):
    options = {name: files[name]} | ({KEY: files[KEY]} if name == CERTIFICATE else {})
    (error,) = errors_of(prometheus_url="http://prometheus:9090", **options)
    assert f"{name} cannot be used with http:// in prometheus_url" in error


def test_of_a_url_that_was_refused_nothing_else_is_told(files):
    errors = errors_of(prometheus_url="nonsense", prometheus_ca_file=files["prometheus_ca_file"])
    assert len(errors) == 1
