"""TLS from files: the CAs that we trust, and our client certificate.

Files are checked before they are used, and read again when they changed. Errors name the option: a
path is not shown, since somebody may have put the secret itself there.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx

from ...errors import ConfigurationError

CA_FILE = "ca_file"
CERTIFICATE_FILE = "client_certificate_file"
KEY_FILE = "client_key_file"


def check_certificates(path: Path, option: str) -> None:
    """Refuse a file without certificates; raises `ConfigurationError` that names the option."""
    try:
        _empty_context().load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise ConfigurationError(
            [f"{option} names a file without a usable certificate in PEM form"]
        ) from error
    except (OSError, ValueError) as error:
        raise cannot_be_read(option, error) from error


def check_readable(path: Path, option: str) -> None:
    """Refuse a file that cannot be read; raises `ConfigurationError` that names the option."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        raise cannot_be_read(option, error) from error


def check_pair(certificate_file: Path, key_file: Path | None, prefix: str = "") -> None:
    """Refuse a certificate without its key; raises `ConfigurationError` that names the options,
    after a prefix.
    """
    try:
        _load_pair(_empty_context(), certificate_file, key_file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "unusable"
        certificate, key = prefix + CERTIFICATE_FILE, prefix + KEY_FILE
        told = (
            f"{certificate} and {key} do not name a certificate and its key, in PEM form and"
            f" without a passphrase ({reason})"
            if key_file
            else f"{certificate} has no usable key in its file: set {key} ({reason})"
        )
        raise ConfigurationError([told]) from error


def cannot_be_read(option: str, error: Exception) -> ConfigurationError:
    """The error of an option whose file cannot be opened or read."""
    why = getattr(error, "strerror", None) or "that is not a path"
    return ConfigurationError([f"{option} names a file that cannot be read ({why})"])


def why_unreachable(error: Exception) -> str:
    """Why there is no connection or it broke, in words: the first error with words has them.

    With TLS 1.3 a client learns after the handshake, often by a broken connection alone, that its
    certificate is not welcome.
    """
    cause: BaseException = error
    while not str(cause) and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__ or cause
    told = f"{type(error).__name__}: {cause}"
    over_tls = isinstance(error, ssl.SSLError) or (
        isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError)
        and error.request.url.scheme == "https"
    )
    hint = "; perhaps it demands a client certificate that it trusts"
    return told + hint if over_tls else told


class TlsFiles:
    """A TLS context made of files, which follows them when they are replaced.

    Without a CA file, the public CAs that httpx trusts are trusted. Raises `ConfigurationError`
    for files that cannot be used.
    """

    def __init__(
        self,
        ca_file: Path | None,
        certificate_file: Path | None,
        key_file: Path | None,
        prefix: str = "",
    ) -> None:
        self._ca_file = ca_file
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._prefix = prefix
        self._check()
        self._loaded = self._versions()
        self.context = (
            ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()
        )
        self._load()

    async def renew(self, _request: httpx.Request) -> None:
        """Load files that were replaced, before a request; connections made after it use them.

        Files that cannot be used, for example half written ones, leave the loaded ones in use, and
        are read again before the next request. CAs are added to those that are trusted.
        """
        versions = self._versions()
        if versions == self._loaded:
            return
        try:
            # What fails halfway would leave the context without any certificate.
            self._check()
            self._load()
        except (ConfigurationError, OSError):
            return
        self._loaded = versions

    def _check(self) -> None:
        if self._ca_file:
            check_certificates(self._ca_file, self._prefix + CA_FILE)
        if self._certificate_file:
            check_pair(self._certificate_file, self._key_file, self._prefix)

    def _load(self) -> None:
        if self._ca_file:
            self.context.load_verify_locations(cafile=self._ca_file)
        if self._certificate_file:
            _load_pair(self.context, self._certificate_file, self._key_file)

    def _versions(self) -> list[tuple[int, int, int] | None]:
        files = (self._ca_file, self._certificate_file, self._key_file)
        return [_version(path) for path in files if path]


def _load_pair(context: ssl.SSLContext, certificate_file: Path, key_file: Path | None) -> None:
    # Without a password, OpenSSL would prompt for one on the terminal.
    context.load_cert_chain(certificate_file, key_file, password="")


def _empty_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _version(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or written; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
