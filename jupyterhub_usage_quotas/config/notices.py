"""The options about where notices on running servers are sent."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from traitlets import TraitError, default, validate

from ..quotas.messages import wrong
from .summaries import SummaryOptions
from .traits import Anything

USERNAME: Final = "{username}"
"""In an address: the name of the user who is told."""
SECRETS: Final = frozenset({"notice_webhooks", "notice_urls"})
"""Options with secrets in them, which are not shown."""
INSTALL: Final = "install jupyterhub-usage-quotas[notices] where the Hub runs"
A_WEBHOOK: Final = 'mappings with an http(s) "url" and, where it is to be signed, a "secret"'


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL to which notices are posted, and the secret that they are signed with."""

    url: str
    secret: str = ""


class NoticeOptions(SummaryOptions):
    """The part of `UsageQuotaManager` about where notices are sent, besides the Hub's pages, and
    who gets summaries there.
    """

    notice_webhooks = Anything(
        help="""
        URLs to which notices on running servers are posted as JSON, each with the secret that they
        are signed with: [{"url": "https://chat.example.org/hook", "secret": "..."}].
        """
    ).tag(config=True)

    notice_urls = Anything(
        help="""
        Addresses of Apprise to which notices on running servers are sent, for example
        ["mailto://hub:password@mail.example.org?to={username}@example.org"]; the user's name takes
        the place of {username}. It has to be installed: jupyterhub-usage-quotas[notices].
        """
    ).tag(config=True)

    on_notice = Anything(
        None,
        allow_none=True,
        help="""
        A function, or coroutine function, that is called with every notice on a running server. It
        may be called again with one of the same `id`, and is tried again where it raises.
        """,
    ).tag(config=True)

    @default("notice_webhooks")
    def _notice_webhooks_default(self) -> list[Any]:
        return []

    @default("notice_urls")
    def _notice_urls_default(self) -> list[Any]:
        return []

    # What is wrong is named without its value: there are secrets in it.

    @validate("notice_webhooks")
    def _are_webhooks(self, proposal: Any) -> list[Any]:
        given = proposal.value
        if not isinstance(given, list | tuple) or not all(map(_is_webhook, given)):
            raise TraitError(wrong(expected=A_WEBHOOK))
        return list(given)

    @validate("notice_urls")
    def _are_addresses(self, proposal: Any) -> list[str]:
        given = proposal.value
        if not isinstance(given, list | tuple) or not all(map(_is_address, given)):
            raise TraitError(wrong(expected="a list of addresses, as Apprise has them"))
        if given and importlib.util.find_spec("apprise") is None:
            raise TraitError(f"Apprise is not installed; {INSTALL}")
        return list(given)

    @validate("on_notice")
    def _is_called(self, proposal: Any) -> Any:
        if proposal.value is not None and not callable(proposal.value):
            raise TraitError(wrong(got=proposal.value, expected="a function, or None"))
        return proposal.value

    @property
    def webhooks(self) -> list[Webhook]:
        """The configured webhooks."""
        return [Webhook(one["url"], one.get("secret", "")) for one in self.notice_webhooks]


def _is_webhook(one: object) -> bool:
    if not isinstance(one, Mapping) or not {"url"} <= set(one) <= {"url", "secret"}:
        return False
    url, secret = one["url"], one.get("secret", "")
    if not isinstance(url, str) or not isinstance(secret, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_address(one: object) -> bool:
    return isinstance(one, str) and "://" in one and one.isprintable()
