"""The connection to a Prometheus-compatible server: address, credentials, certificates, headers.

Errors name settings by the fields of `Connection`, after the prefix that they have where an admin
writes them. They never show values: those are secrets, or somebody put one there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import httpx

from ...errors import ConfigurationError, PrometheusUnauthorized
from ...quotas.messages import wrong
from .sigv4 import SIGV4, SigV4Auth
from .tls import CA_FILE, CERTIFICATE_FILE, KEY_FILE, TlsFiles, cannot_be_read

BASIC_AUTH = "auth"
BEARER_TOKEN_FILE = "bearer_token_file"  # noqa: S105 a name, not a secret
HEADERS = "headers"

# Not settings of their own, but they contradict some; the braces stand for the prefix.
AUTHORIZATION_HEADER = "Authorization in {}headers"
URL_CREDENTIALS = "the credentials in {}url"
PLAIN_URL = "http:// in {}url"

WAYS_TO_AUTHENTICATE = (
    BASIC_AUTH,
    BEARER_TOKEN_FILE,
    SIGV4,
    AUTHORIZATION_HEADER,
    URL_CREDENTIALS,
)

LARGEST_TOKEN = 65536
"""Bytes; what HTTP servers accept as a header is less."""

OURS = frozenset({"connection", "content-length", "content-type", "transfer-encoding"})
"""Headers that belong to the request itself."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e\xa0-\xff](?:[\t\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa0-\xff])?")
_TOKEN = re.compile(rb"[\x21-\x7e]+")
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class SigV4:
    """Requests are signed for a service of AWS in a region."""

    region: str
    service: str = "aps"


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection to one server. Raises `ConfigurationError` for settings that cannot be meant.

    `auth` is a username and a password. A bearer token, certificates and credentials of AWS are
    followed when they are renewed. Without `ca_file`, public CAs are trusted; `client_key_file` may
    be left out where the certificate's file holds the key, too.
    """

    auth: tuple[str, str] | None = field(default=None, repr=False)
    bearer_token_file: Path | None = None
    sigv4: SigV4 | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    prefix: str = field(default="", compare=False)
    """What precedes the names of these fields where an admin writes them."""

    def __post_init__(self) -> None:
        given = {one.name for one in fields(self) if getattr(self, one.name)}
        if authorizes(self.headers):
            given.add(AUTHORIZATION_HEADER)
        errors = [
            *errors_of_headers(self.headers, self.prefix),
            *contradictions(given, self.prefix),
        ]
        if errors:
            raise ConfigurationError(errors)

    def client_options(self) -> dict[str, Any]:
        """The arguments of `httpx.AsyncClient` that make it so.

        Reads certificates; raises `ConfigurationError` for files that cannot be used.
        """
        options: dict[str, Any] = {
            "auth": self._authentication(),
            "headers": [
                (name.encode("ascii"), value.encode("latin-1"))
                for name, value in self.headers.items()
            ],
        }
        if self.ca_file or self.client_certificate_file:
            tls = TlsFiles(
                self.ca_file, self.client_certificate_file, self.client_key_file, self.prefix
            )
            options["verify"] = tls.context
            options["event_hooks"] = {"request": [tls.renew]}
        return options

    def _authentication(self) -> httpx.Auth | None:
        if self.auth:
            return httpx.BasicAuth(*self.auth)
        if self.bearer_token_file:
            return BearerTokenFile(self.bearer_token_file, self.prefix + BEARER_TOKEN_FILE)
        if self.sigv4:
            return SigV4Auth(self.sigv4.region, self.sigv4.service, self.prefix + SIGV4)
        return None


class BearerTokenFile(httpx.Auth):
    """A token that somebody else renews, as Kubernetes does: read for every request.

    A request that is refused is sent once more where the file holds another token by then.
    Requests raise `PrometheusUnauthorized` where the file holds none.
    """

    def __init__(self, path: Path, option: str = BEARER_TOKEN_FILE) -> None:
        self._path = path
        self._option = option

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send, and perhaps once more."""
        token = self._read()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != _UNAUTHORIZED:
            return
        renewed = self._read()
        if renewed != token:
            request.headers["Authorization"] = f"Bearer {renewed}"
            yield request

    def _read(self) -> str:
        try:
            return read_token(self._path, self._option)
        except ConfigurationError as error:
            raise PrometheusUnauthorized("; ".join(error.errors)) from error


def read_token(path: Path, option: str) -> str:
    """The token in a file, without space around it; raises `ConfigurationError` that names the
    option.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_TOKEN + 1)
    except (OSError, ValueError) as error:
        raise cannot_be_read(option, error) from error
    token = content.strip()
    if not token:
        raise ConfigurationError([f"{option} names a file that is empty"])
    if len(content) > LARGEST_TOKEN or not _TOKEN.fullmatch(token):
        expected = "one line of printable ASCII characters without spaces"
        problem = wrong(f"{option} names a file that holds no token", expected=expected)
        raise ConfigurationError([problem])
    return token.decode("ascii")


def authorizes(headers: Mapping[str, str]) -> bool:
    """Whether headers carry credentials."""
    return any(str(name).lower() == "authorization" for name in headers)


def errors_of_headers(headers: Mapping[str, str], prefix: str = "") -> list[str]:
    """A line for every header that cannot be sent; shows names, and no value."""
    errors, option = [], prefix + HEADERS
    seen = set()
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            errors.append(f"{option} has a name that cannot be the name of a header")
            continue
        if name.lower() in OURS:
            errors.append(f"{option}: {name} belongs to the request and cannot be set")
        elif name.lower() in seen:
            errors.append(f"{option} has {name} twice, in upper and lower case")
        elif not isinstance(value, str) or not value:
            errors.append(f"{option}: the value of {name} must be a text that is not empty")
        elif not _HEADER_VALUE.fullmatch(value):
            errors.append(
                f"{option}: the value of {name} must be one line of Latin-1 characters,"
                " without space around it"
            )
        seen.add(name.lower())
    return errors


def contradictions(given: Collection[str], prefix: str = "") -> list[str]:
    """A line for each set of settings, among those that are given, that cannot be used together."""
    errors = []
    ways = [_named(way, prefix) for way in WAYS_TO_AUTHENTICATE if way in given]
    if len(ways) > 1:
        errors.append(f"{_listed(ways)} exclude each other: each is a way to authenticate")
    if KEY_FILE in given and CERTIFICATE_FILE not in given:
        errors.append(f"{prefix}{KEY_FILE} is set without {prefix}{CERTIFICATE_FILE}")
    tls = [_named(name, prefix) for name in (CA_FILE, CERTIFICATE_FILE) if name in given]
    if tls and PLAIN_URL in given:
        plain = _named(PLAIN_URL, prefix)
        errors.append(f"{_listed(tls)} cannot be used with {plain}: it must be https://")
    return errors


def _named(setting: str, prefix: str) -> str:
    return setting.format(prefix) if "{}" in setting else prefix + setting


def _listed(names: Collection[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


ANONYMOUS = Connection()
"""A connection without credentials that trusts public CAs."""
