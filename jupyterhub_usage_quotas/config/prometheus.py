"""The options about the connection to Prometheus."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from traitlets import TraitError, Unicode, default, validate
from traitlets.config import LoggingConfigurable

from .. import conventions
from ..errors import ConfigurationError
from ..metering.client import connection
from ..metering.client.connection import Connection, SigV4
from ..metering.client.sigv4 import SIGV4, check_botocore
from ..metering.client.tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    KEY_FILE,
    check_certificates,
    check_pair,
    check_readable,
)
from ..quotas.messages import Verbatim, wrong
from .checks.urls import problem_of_prometheus, without_credentials
from .traits import Anything

PREFIX = "prometheus_"
"""The options are named like the fields of a `Connection`, after this prefix."""
SECRETS = frozenset(
    {
        *("prometheus_auth", "prometheus_headers", "session_secret_key", "hub_database"),
        *("ledger_url", "token"),
    }
)
"""Options whose values no message repeats."""

URL = f"{PREFIX}url"

CHECKS: Mapping[str, Callable[[Path, str], Any]] = {
    PREFIX + connection.BEARER_TOKEN_FILE: connection.read_token,
    PREFIX + CA_FILE: check_certificates,
    PREFIX + CERTIFICATE_FILE: check_certificates,
    PREFIX + KEY_FILE: check_readable,
}
"""What the options that name a file must pass, each for itself."""


class PrometheusOptions(LoggingConfigurable):
    """The part of `UsageConfig` about the connection to Prometheus."""

    prometheus_url = Unicode(
        help="""
        The URL of the Prometheus server, path prefix included; in a cluster usually
        "http://<service>.<namespace>.svc.cluster.local", for a release "kube-prometheus-stack" of
        the chart of that name "http://kube-prometheus-stack-prometheus.monitoring:9090". Parameters
        in it go with every request, for example
        "https://thanos-querier.openshift-monitoring.svc:9092?namespace=jhub".

        The default is the environment variable JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL, else
        "http://127.0.0.1:9090"; where usage comes from the session log, else empty: no Prometheus.
        """
    ).tag(config=True)

    @default("prometheus_url")
    def _prometheus_url_default(self) -> str:
        usual = "" if getattr(self, "counts_sessions", False) else "http://127.0.0.1:9090"
        return os.environ.get(conventions.ENV_PROMETHEUS_URL, usual)

    @validate("prometheus_url")
    def _prometheus_url_is_http(self, proposal: Any) -> str:
        # Whether there must be one depends on where usage comes from.
        if proposal.value and (problem := problem_of_prometheus(proposal.value)):
            raise TraitError(problem)
        return str(proposal.value)

    prometheus_auth = Anything(
        help="""
        Credentials for Prometheus' basic authentication: {"username": "...", "password": "..."}.

        The default is taken from the environment variables
        JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_USERNAME and JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_PASSWORD.
        """
    ).tag(config=True)

    @default("prometheus_auth")
    def _prometheus_auth_default(self) -> dict[str, str]:
        username = os.environ.get(conventions.ENV_PROMETHEUS_USERNAME)
        password = os.environ.get(conventions.ENV_PROMETHEUS_PASSWORD)
        if bool(username) != bool(password):
            raise TraitError(
                f"{conventions.ENV_PROMETHEUS_USERNAME} and {conventions.ENV_PROMETHEUS_PASSWORD}"
                " must be set together"
            )
        return {"username": username, "password": password} if username and password else {}

    @validate("prometheus_auth")
    def _prometheus_auth_is_complete(self, proposal: Any) -> dict[str, str]:
        given = _meant(proposal.value)
        keys = {"username", "password"}
        if not given:
            return {}
        if (
            not isinstance(given, Mapping)
            or set(given) != keys
            or not all(isinstance(value, str) for value in given.values())
        ):
            expected = "a dict with the texts username and password"
            raise TraitError(wrong(got=_outline(given), expected=expected))
        if ":" in given["username"]:
            raise TraitError("username with a colon, which HTTP's basic authentication cannot send")
        return dict(given)

    prometheus_bearer_token_file = Anything(
        "",
        help="""
        The file that holds a bearer token for Prometheus, for example a projected token of a
        Kubernetes service account. It is read for every request, so a renewed token is used at
        once.
        """,
    ).tag(config=True)

    prometheus_headers = Anything(
        help="""
        Headers to send with every request, for example the tenant of Mimir and Cortex:
        {"X-Scope-OrgID": "hub"}. Values are treated as secrets.
        """
    ).tag(config=True)

    @default("prometheus_headers")
    def _prometheus_headers_default(self) -> dict[str, str]:
        return {}

    prometheus_ca_file = Anything(
        "",
        help="""
        The file with the CA certificates (PEM) that Prometheus' certificate is checked against,
        instead of the public CAs. Certificates that are added later are trusted without a restart.
        """,
    ).tag(config=True)

    prometheus_client_certificate_file = Anything(
        "",
        help="""
        The file with the client certificate (PEM) for a Prometheus that demands one. It is read
        again when the file has been replaced.
        """,
    ).tag(config=True)

    prometheus_client_key_file = Anything(
        "",
        help="""
        The file with the key (PEM, without a passphrase) of the client certificate, unless that is
        in the same file. It is read again when the file has been replaced.
        """,
    ).tag(config=True)

    @validate(*CHECKS)
    def _file_can_be_used(self, proposal: Any) -> str:
        option = proposal.trait.name
        given = proposal.value or ""
        if not isinstance(given, str | os.PathLike):
            raise TraitError(wrong(got=_outline(given), expected="the path of a file"))
        path = os.fsdecode(given)
        if path:
            _check(partial(CHECKS[option], Path(path), option))
        return path

    prometheus_sigv4 = Anything(
        help="""
        Sign requests for AWS (Signature Version 4): {"region": "eu-central-1"}, with the service
        "aps" (Amazon Managed Service for Prometheus) unless you name another. Credentials are found
        where AWS' own tools find them. Needs botocore: install the extra `aws`.
        """
    ).tag(config=True)

    @default("prometheus_sigv4")
    def _prometheus_sigv4_default(self) -> dict[str, str]:
        return {}

    @validate("prometheus_headers")
    def _headers_can_be_sent(self, proposal: Any) -> dict[str, str]:
        given = _meant(proposal.value) or {}
        if not isinstance(given, Mapping):
            raise TraitError(wrong(got=_outline(given), expected="a dict of texts"))
        errors = connection.errors_of_headers(given, PREFIX)
        if errors:
            raise TraitError("; ".join(errors))
        return dict(given)

    @validate("prometheus_sigv4")
    def _sigv4_is_complete(self, proposal: Any) -> dict[str, str]:
        given = _meant(proposal.value)
        if not given:
            return {}
        if (
            not isinstance(given, Mapping)
            or not {"region"} <= set(given) <= {"region", "service"}
            or not all(_is_name_in_aws(value) for value in given.values())
        ):
            expected = (
                "a dict with the name of a region, for example {'region': 'eu-central-1'}, and"
                " perhaps a service"
            )
            raise TraitError(wrong(got=_outline(given), expected=expected))
        _check(partial(check_botocore, PREFIX + SIGV4))
        return asdict(SigV4(**given))

    @property
    def shown_prometheus_url(self) -> str:
        """The URL as it may be shown: without credentials and values of parameters."""
        return without_credentials(self.prometheus_url)

    @property
    def prometheus_address(self) -> str:
        """Where requests go: without credentials, which `make_connection` has, with parameters."""
        parts = urlsplit(self.prometheus_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def _url_credentials(self) -> dict[str, str]:
        """Credentials that are in the URL, in the form of `prometheus_auth`."""
        parts = urlsplit(self.prometheus_url)
        given = {"username": parts.username or "", "password": parts.password or ""}
        return {key: unquote(value) for key, value in given.items()} if any(given.values()) else {}

    def errors_together(self, refused: Collection[str] = ()) -> list[str]:
        """A line for every error that no option has alone.

        The values of `refused`, which have errors of their own, are not known here, only that
        they were given.
        """
        files = (name.removeprefix(PREFIX) for name in CHECKS)
        given = {
            name
            for name in (connection.BASIC_AUTH, SIGV4, *files)
            if PREFIX + name in refused or getattr(self, PREFIX + name)
        }
        headers = PREFIX + connection.HEADERS
        if headers not in refused and connection.authorizes(self.prometheus_headers):
            given.add(connection.AUTHORIZATION_HEADER)
        if URL not in refused:
            given |= {connection.URL_CREDENTIALS} if self._url_credentials else set()
            given |= (
                {connection.PLAIN_URL} if urlsplit(self.prometheus_url).scheme == "http" else set()
            )
        errors = connection.contradictions(given, PREFIX)
        pair = {PREFIX + CERTIFICATE_FILE, PREFIX + KEY_FILE}
        if CERTIFICATE_FILE in given and not pair & set(refused):
            try:
                check_pair(
                    Path(self.prometheus_client_certificate_file),
                    _path(self.prometheus_client_key_file),
                    PREFIX,
                )
            except ConfigurationError as error:
                errors += error.errors
        return errors

    def make_connection(self) -> Connection:
        """The connection to Prometheus; raises `ConfigurationError`."""
        auth = self.prometheus_auth or self._url_credentials
        return Connection(
            auth=(auth["username"], auth["password"]) if auth else None,
            bearer_token_file=_path(self.prometheus_bearer_token_file),
            sigv4=SigV4(**self.prometheus_sigv4) if self.prometheus_sigv4 else None,
            headers=self.prometheus_headers,
            ca_file=_path(self.prometheus_ca_file),
            client_certificate_file=_path(self.prometheus_client_certificate_file),
            client_key_file=_path(self.prometheus_client_key_file),
            prefix=PREFIX,
        )


def _meant(given: Any) -> Any:
    """A comma after the closing brace makes a tuple of a dict: easily written, never meant."""
    return given[0] if isinstance(given, tuple) and len(given) == 1 else given


def _outline(given: Any) -> Verbatim:
    """The keys or the type of a value, which may be a secret."""
    return Verbatim(sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__)


def _check(check: Callable[[], Any]) -> None:
    """Run a check of the metering, whose errors are those of a trait here."""
    try:
        check()
    except ConfigurationError as error:
        raise TraitError("; ".join(error.errors)) from error


def _is_name_in_aws(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[a-z0-9-]+", value))


def _path(text: str) -> Path | None:
    return Path(text) if text else None
