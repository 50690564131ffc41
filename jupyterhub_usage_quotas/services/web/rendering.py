"""Rendering a service's pages with the Hub's own templates, and an admin's, so that they look like
the rest of the Hub; and the policy under which browsers show them.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2.ext import Extension
from jupyterhub._data import DATA_FILES_PATH
from markupsafe import Markup

from ...status.language import ENGLISH, FORMS, Language
from .assets import Assets

HUBS_TEMPLATES = Path(DATA_FILES_PATH) / "templates"


class ScriptNonces(Extension):
    """Gives every script that is written in a template the page's nonce.

    The Hub's own page has a script in its text. Marked in the template's source, before anything
    is filled in, so that what outside text would bring along stays unmarked and does not run.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        """Mark the scripts of one template."""
        return re.sub(r"<script\b(?![^>]*\bnonce=)", '<script nonce="{{ csp_nonce }}"', source)


@dataclass(frozen=True, slots=True)
class PageUser:
    """The user who is logged in, as the Hub's templates need them."""

    name: str
    admin: bool = False
    groups: frozenset[str] = frozenset()

    @property
    def json_escaped_name(self) -> str:
        """The name inside of a string of a script, where no character of it ends the script."""
        escaped = json.dumps(self.name)[1:-1]
        return re.sub(r"[<>&']", lambda found: f"\\u{ord(found[0]):04x}", escaped)


@dataclass(frozen=True, slots=True)
class Link:
    """A service in the menu, and who may open it beside admins."""

    name: str
    href: str
    everyone: bool = False
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, link: Mapping[str, Any]) -> Link:
        """One as it is configured."""
        users, groups = (frozenset(map(str, link.get(key) or ())) for key in ("users", "groups"))
        return cls(str(link["name"]), link["href"], bool(link.get("everyone")), users, groups)

    def is_for(self, user: PageUser) -> bool:
        """Whether a user may open it."""
        named = user.name in self.users or not self.groups.isdisjoint(user.groups)
        return user.admin or self.everyone or named


def _loader(templates: Path, template_paths: Sequence[str]) -> jinja2.BaseLoader:
    """An admin's templates before ours, and the Hub's last."""
    hubs = jinja2.FileSystemLoader(str(HUBS_TEMPLATES))
    ours = jinja2.FileSystemLoader(str(templates))
    return jinja2.ChoiceLoader(
        [
            # As in the Hub: "templates/page.html" is the Hub's, whatever was put before it.
            jinja2.PrefixLoader({"templates": jinja2.ChoiceLoader([hubs, ours])}),
            jinja2.FileSystemLoader([*template_paths]),
            ours,
            hubs,
        ]
    )


class Renderer:
    """Renders the templates of a service.

    `templates` is the service's own folder, `assets` its scripts and styles, `menu` the services
    that pages link to; `template_paths` and `variables` are an admin's. `hub_host` is the origin of
    the Hub where that is not the service's.
    """

    def __init__(
        self,
        templates: Path,
        assets: Assets,
        *,
        template_paths: Sequence[str] = (),
        variables: Mapping[str, Any] = MappingProxyType({}),
        hub_prefix: str,
        hub_host: str = "",
        base_url: str,
        menu: Sequence[Link] = (),
        language: Language = ENGLISH,
    ) -> None:
        self._environment = jinja2.Environment(
            loader=_loader(templates, template_paths), autoescape=True, extensions=[ScriptNonces]
        )
        self._environment.filters["local_time"] = partial(local_time, language)
        self._environment.globals.update(language.in_templates)
        self.language = language
        self._hub_host = hub_host
        self._base_url = base_url
        self._menu = menu
        hub = hub_host + hub_prefix
        self._common: dict[str, Any] = {
            "announcement": "",
            **variables,
            "base_url": hub,
            "prefix": hub_host + hub_prefix.removesuffix("hub/"),
            "login_url": hub + "login",
            "logout_url": hub + "logout",
            "static_url": lambda path, **_: f"{hub}static/{path}",
            "usage_quota_url": base_url,
            "usage_quota_language": language.tag,
            "usage_quota_texts": _of_the_script(language),
            "usage_quota_assets": assets.addresses(f"{base_url}static/"),
            "no_spawner_check": True,
        }

    def render(self, template: str, user: PageUser | None, nonce: str, **variables: Any) -> str:
        """A page as HTML. Raises jinja2's errors where an admin's template is wrong."""
        return self._environment.get_template(template).render(
            self._common
            | {
                "user": user,
                "admin_access": False,
                "parsed_scopes": {"admin-ui": True} if user and user.admin else {},
                "services": [one for one in self._menu if user and one.is_for(user)],
                "csp_nonce": nonce,
            }
            | variables
        )

    def content_security_policy(self, nonce: str) -> str:
        """What a browser may load and run for a page with this nonce.

        No page may frame it, not even one of the same origin: users' servers are there, too.
        """
        own = f"'self' {self._hub_host}".strip()
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src {own} 'nonce-{nonce}'",
                # The Hub's components set styles on elements.
                f"style-src {own} 'unsafe-inline'",
                f"img-src {own} data:",
                f"font-src {own} data:",
                f"connect-src {own}",
                f"form-action {own}",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            )
        )


def _of_the_script(language: Language) -> str:
    """What the script of pages has to say, as JSON."""
    return json.dumps(
        {
            "ended": language.gettext("Your session has ended. Please reload this page."),
            "failed": language.gettext(
                "This page could not be brought up to date; its figures are from {time}. It tries"
                " again.",
                time="{time}",
            ),
            "form": language.gettext(FORMS["time"]),
        }
    )


def new_nonce() -> str:
    """A nonce for one page."""
    return secrets.token_urlsafe(16)


def local_time(language: Language, instant: datetime | None, form: str = "long") -> Markup:
    """An instant that a script of the page shows in the browser's own zone, in the form that is
    given with it; in UTC until then.

    In the form "short" the zone is not named: where it is used, it is named once for all.
    """
    if instant is None:
        return Markup("")
    instant = instant.astimezone(UTC)
    return Markup(
        '<time class="usage-quota-time" lang="{}" data-form="{}" datetime="{}">{}</time>'
    ).format(
        language.tag,
        language.gettext(FORMS[form]),
        f"{instant:%Y-%m-%dT%H:%M:%SZ}",
        language.instant(instant, FORMS[form]),
    )
