"""The viewer's own options, beside those that all processes share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from traitlets import Bool, Dict, List, TraitError, Unicode, default, validate

from .. import conventions
from ..errors import ConfigurationError
from ..quotas.messages import Verbatim, wrong
from .checks.secrets import SHORTEST, easy_to_guess, is_an_example
from .checks.urls import problem_of_url, without_credentials
from .checks.validation import errors_in_options, remarks
from .files.earlier import understood
from .traits import WholeNumber, is_placeholder
from .usage import UsageConfig


class UsageViewer(UsageConfig):
    """Shows users their usage and quotas, and admins everybody's: the Usage Quota Dashboard."""

    enabled = Bool(
        True,
        help="""
        Whether `setup_usage_quotas` declares the service, its roles and scopes, and passes it its
        configuration. False leaves all of that to you.
        """,
    ).tag(config=True)

    url = Unicode(
        help="""
        The URL at which the Hub's proxy reaches the service that `setup_usage_quotas` declares. The
        default is a free port of 127.0.0.1. Where the Hub does not start the proxy (as in Zero to
        JupyterHub) there is no default, and the service is declared only if this is set. A service
        that you declare yourself has its own `url`.
        """
    ).tag(config=True)

    @validate("url")
    def _url_is_http(self, proposal: Any) -> str:
        url = str(proposal.value)
        if url and (problem := problem_of_url(url, "http://hub:9000")):
            raise TraitError(problem)
        if url and (urlsplit(url).query or "@" in url):
            raise TraitError(wrong("has more than a host and a port", without_credentials(url)))
        return url

    service_host = Unicode(
        help="""
        The interface that the service listens on. The default is the loopback interface where the
        service's `url` names that, else all interfaces.
        """
    ).tag(config=True)

    @validate("service_host")
    def _is_an_interface(self, proposal: Any) -> str:
        host = str(proposal.value)
        if host and problem_of_url(f"http://{f'[{host}]' if ':' in host else host}", ""):
            raise TraitError(wrong(got=host, expected="a host, for example '0.0.0.0'"))
        return host

    service_port = WholeNumber(
        0,
        0,
        65535,
        "a port (0 for that of the service's url)",
        help="The port that the service listens on; 0 for that of its `url`.",
    ).tag(config=True)

    service_prefix = Unicode(
        help="""
        The path that the service answers under. The default comes from the Hub: its own path, and
        then "services/usage-quota/".
        """
    ).tag(config=True)

    @validate("service_prefix")
    def _is_a_path(self, proposal: Any) -> str:
        path = str(proposal.value)
        if path and not re.fullmatch(r"/[-\w.~%@/]*", path, re.ASCII):
            raise TraitError(
                wrong(got=path, expected="a path, for example '/services/usage-quota/'")
            )
        return path

    enable_compute = Bool(
        True,
        help="""
        Whether the dashboard shows usage over time: of memory, CPU and so on. Without it, the
        dashboard shows home storage only, and lists no users where that is not shown either.
        """,
    ).tag(config=True)

    footer_note = Unicode(
        help="""
        A note at the end of every page of the dashboard, in HTML: text, links, emphasis and lists.
        Whatever could run or load something is taken out of it.
        """
    ).tag(config=True)

    session_secret_key = Unicode(
        help="""
        A secret that keeps sessions valid when the service restarts. Without one, the service makes
        a new secret at each start, and browsers log in again; users do not notice that where the
        service has `oauth_no_confirm`.

        The default is the environment variable JUPYTERHUB_USAGE_QUOTAS_SESSION_SECRET_KEY.
        """
    ).tag(config=True)

    @validate("session_secret_key")
    def _is_hard_to_guess(self, proposal: Any) -> str:
        secret = str(proposal.value)
        # A place of an example that is to be filled in is doubted, as elsewhere.
        if secret and not is_placeholder(secret) and easy_to_guess(secret):
            got = Verbatim(f"{len(secret)} characters")
            expected = f"at least {SHORTEST} random ones, for example of `openssl rand -hex 32`"
            raise TraitError(wrong("easy to guess", got, expected))
        return secret

    @default("session_secret_key")
    def _session_secret_key_default(self) -> str:
        return os.environ.get(conventions.ENV_SESSION_SECRET_KEY, "")

    template_paths = List(
        Unicode(),
        help="""
        Folders with templates of your own, which take precedence over the Hub's. The default is
        `c.JupyterHub.template_paths`, where the Hub runs the service.
        """,
    ).tag(config=True)

    template_vars = Dict(
        help="""
        Variables for templates of your own. The default is all plain values in
        `c.JupyterHub.template_vars`, where the Hub runs the service.
        """
    ).tag(config=True)

    services_menu = List(
        Dict(),
        help="""
        The services that the menu of the dashboard's pages links to, for admins and those whom the
        entry names: {"name": "grades", "href": "/services/grades/", "everyone": False, "users": [],
        "groups": ["lecturers"]}. The default is what roles in the Hub's configuration say, where
        the Hub runs the service.
        """,
    ).tag(config=True)

    @validate("services_menu")
    def _are_links(self, proposal: Any) -> Any:
        for link in proposal.value:
            href = link.get("href")
            if not link.get("name") or not re.match(r"(/(?!/)|https?://)", str(href)):
                expected = "a name, and an href that starts with / or https://"
                raise TraitError(wrong(got=link, expected=expected))
        return proposal.value

    @property
    def session_secret(self) -> str:
        """The session secret; empty where there is none."""
        return self.session_secret_key


CONFIGURED: tuple[type[UsageConfig], ...] = (UsageConfig, UsageViewer)
"""The classes whose sections the viewer's options are in."""


def errors_in_viewer(config: Mapping[str, Any]) -> list[str]:
    """A line for every error in the viewer's own section, and between its options and others."""
    of_all = f"{UsageConfig.__name__}."
    errors = errors_in_options(config, CONFIGURED, UsageViewer())
    return [one for one in errors if not one.startswith(of_all)]


def make_viewer(config: Mapping[str, Any]) -> UsageViewer:
    """The options of a configuration; raises `ConfigurationError` with all their errors."""
    errors = list(errors_in_options(config, CONFIGURED, UsageViewer()))
    if errors:
        raise ConfigurationError(errors)
    return UsageViewer(config=understood(config))


def viewer_remarks(config: Mapping[str, Any]) -> list[str]:
    """A line for every option of the viewer that should be written differently."""
    lines = remarks(config, (UsageViewer,))
    # Errors are told elsewhere.
    given = understood(config).get(UsageViewer.__name__, {}).get("session_secret_key")
    if isinstance(given, str) and not is_placeholder(given) and is_an_example(given):
        lines.append(
            "UsageViewer.session_secret_key consists of the words of an example, which others may"
            " have read, too; replace it, for example by the output of `openssl rand -hex 32`"
        )
    return lines
