"""Where notices are sent: webhooks, addresses of Apprise, a function of the admin's.

Each takes a notice or raises; who has it already is not asked again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import inspect
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote

import httpx
import tenacity

from ...config.notices import USERNAME, NoticeOptions, Webhook
from ...errors import UsageQuotasError
from ...quotas.stopping.notices import Notice

SIGNATURE: Final = "X-Usage-Quotas-Signature"
TIMESTAMP: Final = "X-Usage-Quotas-Timestamp"
PATIENCE: Final = 10.0
"""Seconds that a target may take."""
ATTEMPTS: Final = 3
"""One after the other, before it is tried again later."""
TITLE: Final = "JupyterHub"


class NotTaken(UsageQuotasError):
    """A target did not take a notice."""


class NoticeTarget(Protocol):
    """Takes notices. It may get one twice: the `id` of a notice says which it is."""

    @property
    def name(self) -> str:
        """What the outbox notes it by: no secret, and the same after a restart."""
        ...

    async def send(self, notice: Notice) -> None:
        """Take a notice; raises whatever it likes where it does not."""
        ...


def targets_of(options: NoticeOptions) -> list[NoticeTarget]:
    """The configured targets."""
    found: list[NoticeTarget] = [WebhookTarget(one) for one in options.webhooks]
    found += [AppriseTarget(url) for url in options.notice_urls]
    if options.on_notice is not None:
        found.append(FunctionTarget(options.on_notice))
    return found


def body_of(notice: Notice) -> bytes:
    """A notice as a webhook gets it."""
    said = {
        "id": notice.id,
        "user": notice.user,
        "server": notice.server,
        "policy": notice.policy,
        "kind": notice.kind.value,
        "threshold_seconds": notice.threshold.total_seconds(),
        "until": notice.until.isoformat() if notice.until else None,
        "at": notice.at.isoformat(),
        "text": notice.text,
    }
    return json.dumps(said).encode()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What proves that a body is ours and was sent then."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"


class WebhookTarget:
    """A URL to which notices are posted as JSON, signed where there is a secret."""

    def __init__(
        self,
        webhook: Webhook,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        wait: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = f"webhook {_short(webhook.url)}"
        self._webhook = webhook
        self._http = httpx.AsyncClient(timeout=PATIENCE, transport=transport)
        self._clock = clock
        self._retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=wait, max=10 * wait)
            + tenacity.wait_random(0, wait),
            retry=tenacity.retry_if_exception_type((httpx.HTTPError, NotTaken)),
            reraise=True,
        )

    async def send(self, notice: Notice) -> None:
        """See `NoticeTarget`."""
        await self._retrying(self._post, body_of(notice))

    async def _post(self, body: bytes) -> None:
        timestamp = str(int(self._clock()))
        headers = {"Content-Type": "application/json", TIMESTAMP: timestamp}
        if self._webhook.secret:
            headers[SIGNATURE] = signature(self._webhook.secret, timestamp, body)
        answer = await self._http.post(self._webhook.url, content=body, headers=headers)
        if not answer.is_success:
            raise NotTaken(f"it answered {answer.status_code}")


class AppriseTarget:
    """One address of Apprise, a library that knows chats, mail and more. The user's name takes the
    place of `{username}` in it.
    """

    def __init__(self, url: str) -> None:
        self.name = f"apprise {_short(url)}"
        self._url = url

    async def send(self, notice: Notice) -> None:
        """See `NoticeTarget`."""
        import apprise  # noqa: PLC0415 an extra

        sender = apprise.Apprise()
        url = self._url.replace(USERNAME, quote(notice.user, safe=""))
        # One address each: of several, one that took it would get it again.
        if not sender.add(url):
            raise NotTaken("Apprise does not know such an address")
        done = await asyncio.wait_for(
            sender.async_notify(body=notice.text, title=TITLE), ATTEMPTS * PATIENCE
        )
        if not done:
            raise NotTaken("it was not sent")


class FunctionTarget:
    """A function of the admin's, which may be a coroutine function; another runs in a thread."""

    name = "function"

    def __init__(self, function: Callable[[Notice], Any]) -> None:
        self._function = function

    async def send(self, notice: Notice) -> None:
        """See `NoticeTarget`."""
        if inspect.iscoroutinefunction(self._function):
            await asyncio.wait_for(self._function(notice), ATTEMPTS * PATIENCE)
        else:
            made = await asyncio.to_thread(self._function, notice)
            if inspect.isawaitable(made):
                await made


def _short(url: str) -> str:
    """Which address it is, without what is secret in it."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


Targets = Sequence[NoticeTarget]
