"""Signing requests for AWS, with the credentials that AWS' own tools would find.

Needs botocore, an extra. Signature Version 4:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from ...errors import ConfigurationError, PrometheusUnauthorized

SIGV4 = "sigv4"

SECONDS_FOR_CREDENTIALS = 2
"""How long AWS' token service may take to connect and to answer; a launch has 5 s in all."""

SIGNED = ("Host", "Content-Type")
"""The headers that are signed, besides those of AWS: what proxies leave alone."""


def check_botocore(option: str = SIGV4) -> None:
    """Raises `ConfigurationError` that names the extra where botocore is not installed."""
    try:
        import botocore  # noqa: F401, PLC0415 an extra, which only this needs
    except ImportError as error:
        raise ConfigurationError(
            [f"{option} needs botocore, which is not installed: pip install 'botocore>=1.31'"]
        ) from error


class SigV4Auth(httpx.Auth):
    """Signs every request, for asynchronous clients; credentials are looked up for each.

    Raises `ConfigurationError` without botocore; requests raise `PrometheusUnauthorized` where no
    credentials are to be had.
    """

    requires_request_body = True

    def __init__(self, region: str, service: str, option: str = SIGV4) -> None:
        check_botocore(option)
        from botocore.config import Config  # noqa: PLC0415 an extra
        from botocore.session import Session  # noqa: PLC0415

        self._region = region
        self._option = option
        self._service = service
        self._session = Session()
        self._session.set_default_client_config(
            Config(
                connect_timeout=SECONDS_FOR_CREDENTIALS,
                read_timeout=SECONDS_FOR_CREDENTIALS,
                retries={"total_max_attempts": 1},
            )
        )
        # Credentials may come over the network, which must not hold up the Hub. The thread is our
        # own: in the event loop's pool, a token service that hangs would hold up names (DNS), too.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sigv4")
        logger = logging.getLogger("botocore")
        if logger.level == logging.NOTSET:
            # At DEBUG it logs session tokens and secret keys.
            logger.setLevel(logging.INFO)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign, send."""
        await request.aread()
        loop = asyncio.get_running_loop()
        request.headers.update(await loop.run_in_executor(self._thread, self._sign, request))
        yield request

    def _sign(self, request: httpx.Request) -> dict[str, str]:
        """The headers that make it a signed request."""
        from botocore.auth import SigV4Auth as Signer  # noqa: PLC0415 an extra
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        signed = AWSRequest(
            method=request.method,
            url=str(request.url),
            data=request.content,
            headers={name: request.headers[name] for name in SIGNED if name in request.headers},
        )
        Signer(self._credentials(), self._service, self._region).add_auth(signed)
        return {name: value for name, value in signed.headers.items() if name not in SIGNED}

    def _credentials(self) -> Any:
        """Credentials that are valid now; botocore renews those that can be renewed."""
        from botocore.exceptions import CredentialRetrievalError  # noqa: PLC0415 an extra

        try:
            found = self._session.get_credentials()
            credentials = found.get_frozen_credentials() if found else None
        except Exception as error:
            # It holds what a program of the admin's wrote: perhaps a secret.
            shown = "" if isinstance(error, CredentialRetrievalError) else f": {error}"
            why = f"{type(error).__name__}{shown}"
            raise PrometheusUnauthorized(f"no AWS credentials for {self._option} ({why})") from None
        if credentials is None:
            raise PrometheusUnauthorized(f"no AWS credentials for {self._option} were found")
        return credentials
