"""Notices reach every target, at least once, whatever the others do; targets at the transport."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta

import apprise
import httpx
import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.notices import Webhook
from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.guard.outbox import NoticesInMemory, Outbox
from jupyterhub_usage_quotas.hub.guard.targets import (
    AppriseTarget,
    FunctionTarget,
    WebhookTarget,
    targets_of,
)
from jupyterhub_usage_quotas.quotas.stopping.notices import Notice, NoticeKind

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LOG = logging.getLogger("test_outbox")
MINUTE = timedelta(minutes=1)


def notice(number=1, user="ada"):
    text = "Your server runs out"
    until = NOW + 10 * MINUTE
    about = (user, "", "gpu-week", NoticeKind.WARNING, 10 * MINUTE)
    return Notice(f"id-{number}", *about, until, text, NOW)


class Hook:
    """A web server that answers as it is told."""

    def __init__(self, *statuses):
        self.statuses, self.got = list(statuses), []

    def __call__(self, request):
        self.got.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(status)

    def target(self, url="https://chat.example.org/hook", secret="hush"):
        transport = httpx.MockTransport(self)
        return WebhookTarget(Webhook(url, secret), transport, wait=0.0, clock=lambda: 1000.5)

    @property
    def ids(self):
        return [json.loads(one.content)["id"] for one in self.got]


async def sent(*targets, notices=(1,), at=NOW, outbox=None):
    waiting = NoticesInMemory()
    for number in notices:
        waiting.add(notice(number))
    made = Outbox(waiting, targets, LOG)
    await made.send(at)
    return made, waiting


async def test_a_webhook_gets_a_notice_that_it_can_check():
    hook = Hook()
    await hook.target().send(notice())
    (request,) = hook.got
    assert json.loads(request.content) == {
        "id": "id-1",
        "user": "ada",
        "server": "",
        "policy": "gpu-week",
        "kind": "warning",
        "threshold_seconds": 600.0,
        "until": "2026-03-04T12:10:00+00:00",
        "at": "2026-03-04T12:00:00+00:00",
        "text": "Your server runs out",
    }
    assert request.headers["X-Usage-Quotas-Timestamp"] == "1000"
    signed = hmac.new(b"hush", b"1000." + request.content, hashlib.sha256).hexdigest()
    assert request.headers["X-Usage-Quotas-Signature"] == f"sha256={signed}"


async def test_without_a_secret_nothing_is_signed():
    hook = Hook()
    await hook.target(secret="").send(notice())
    assert "X-Usage-Quotas-Signature" not in hook.got[0].headers


async def test_what_fails_for_a_moment_is_tried_again_at_once():
    hook = Hook(503, None)
    _, waiting = await sent(hook.target())
    assert len(hook.got) == 3
    assert await waiting.outgoing(NOW + 99 * MINUTE, 9) == []


async def test_one_that_is_down_gets_it_later_and_the_other_once(caplog):
    up, down = Hook(), Hook(*[500] * 6)
    targets = (up.target("https://up.example.org"), down.target("https://down.example.org/secret"))
    outbox, waiting = await sent(*targets)
    assert (len(up.got), len(down.got)) == (1, 3)
    await outbox.send(NOW + timedelta(seconds=29))
    assert len(down.got) == 3
    await outbox.send(NOW + timedelta(seconds=30))
    assert len(down.got) == 6
    # Twice as long.
    await outbox.send(NOW + timedelta(seconds=80))
    assert len(down.got) == 6
    await outbox.send(NOW + timedelta(seconds=90))
    assert down.ids[-1] == "id-1"
    assert len(up.got) == 1
    assert await waiting.outgoing(NOW + 99 * MINUTE, 9) == []
    logged = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert len(logged) == 1
    assert "secret" not in logged[0]


async def test_after_a_day_it_is_given_up():
    down = Hook(*[500] * 99)
    outbox, waiting = await sent(down.target())
    await outbox.send(NOW + timedelta(days=1, seconds=1))
    assert await waiting.outgoing(NOW + timedelta(days=9), 9) == []


async def test_functions_of_both_kinds():
    got = []

    async def later(one):
        got.append(("later", one.id))

    def fails(_one):
        raise RuntimeError("no")

    await FunctionTarget(lambda one: got.append(("now", one.id))).send(notice())
    await FunctionTarget(later).send(notice())
    assert got == [("now", "id-1"), ("later", "id-1")]
    _, waiting = await sent(FunctionTarget(fails))
    assert len(await waiting.outgoing(NOW + 99 * MINUTE, 9)) == 1


async def test_apprise_gets_an_address_with_the_users_name(monkeypatch):
    added = []

    class Sender:
        def add(self, url):
            added.append(url)
            return not url.startswith("nonsense")

        async def async_notify(self, body, title):
            return (body, title) == ("Your server runs out", "JupyterHub")

    monkeypatch.setattr(apprise, "Apprise", Sender)
    target = AppriseTarget("mailto://h:p@example.org?to={username}@example.org")
    await target.send(notice(user="a&b/c"))
    assert added == ["mailto://h:p@example.org?to=a%26b%2Fc@example.org"]
    _, waiting = await sent(AppriseTarget("nonsense://x"))
    assert len(await waiting.outgoing(NOW + 99 * MINUTE, 9)) == 1


def options(**written):
    return QuotaOptions(config=Config({"UsageQuotaManager": written}))


def test_all_that_is_configured_is_a_target():
    made = options(
        notice_webhooks=[{"url": "https://a.example.org", "secret": "s"}, {"url": "http://b:80/x"}],
        on_notice=print,
    )
    assert len({one.name for one in targets_of(made)}) == 3
    assert targets_of(options()) == []


@pytest.mark.parametrize(
    "written",
    [
        {"notice_webhooks": "https://hunter2.example.org"},
        {"notice_webhooks": [{"url": "ftp://hunter2"}]},
        {"notice_webhooks": [{"url": "https://x", "secrets": "hunter2"}]},
        {"notice_webhooks": [{"url": "https://[hunter2"}]},
        {"notice_urls": "mailto://hunter2"},
        {"notice_urls": ["hunter2"]},
        {"on_notice": "print"},
    ],
)
def test_a_mistake_is_named_without_what_is_secret(written):
    with pytest.raises(ConfigurationError) as refused:
        options(**written)
    (error,) = refused.value.errors
    assert error.startswith(f"UsageQuotaManager.{next(iter(written))}: ")
    assert "hunter2" not in error
