"""The options of the viewer, beside those that every process shares."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from traitlets import Bool, Dict, List, TraitError, Unicode, default, validate

from .. import conventions
from ..errors import ConfigurationError
from .usage import UsageConfig
from .validation import errors_in_options, remarks


class UsageViewer(UsageConfig):
    """Shows users their usage and quotas, and admins everybody's: the Usage Quota Dashboard."""

    enabled = Bool(
        True,
        help="""
        Whether `setup_usage_quotas` declares the service, its roles and scopes, and tells it what
        it must know. False leaves all of that to you.
        """,
    ).tag(config=True)

    url = Unicode(
        help="""
        Where the Hub's proxy reaches the service that `setup_usage_quotas` declares. The default is
        a free port of 127.0.0.1. Where somebody else starts the proxy (as in Zero to JupyterHub)
        there is none, and without it the service is not declared. A service that you declare
        yourself has its own `url`.
        """
    ).tag(config=True)

    @validate("url")
    def _url_is_http(self, proposal: Any) -> str:
        url = str(proposal.value)
        if url and not url.startswith(("http://", "https://")):
            raise TraitError(f"url must be a URL such as 'http://hub:9000'; given {url!r}")
        return url

    session_secret_key = Unicode(
        help="""
        A secret that keeps sessions valid when the service restarts. Without one each start makes
        its own, and browsers log in anew, which users of a service with `oauth_no_confirm` do not
        notice.

        The default is the environment variable JUPYTERHUB_USAGE_QUOTAS_SESSION_SECRET_KEY.
        """
    ).tag(config=True)

    @default("session_secret_key")
    def _session_secret_key_default(self) -> str:
        return os.environ.get(conventions.ENV_SESSION_SECRET_KEY, "")

    secret_session_key = Unicode(help="Another spelling of `session_secret_key`.").tag(config=True)

    template_paths = List(
        Unicode(),
        help="""
        Folders with templates of your own, looked in before the Hub's. The default is
        `c.JupyterHub.template_paths`, where the Hub runs the service.
        """,
    ).tag(config=True)

    template_vars = Dict(
        help="""
        Variables for templates of your own. The default is what there is of plain values in
        `c.JupyterHub.template_vars`, where the Hub runs the service.
        """
    ).tag(config=True)

    @property
    def session_secret(self) -> str:
        """The session secret, however it was spelt; empty where there is none."""
        return self.session_secret_key or self.secret_session_key


CONFIGURED: tuple[type[UsageConfig], ...] = (UsageConfig, UsageViewer)
"""The classes whose sections the viewer's options are in."""


def make_viewer(config: Mapping[str, Any]) -> UsageViewer:
    """The options of a configuration; raises `ConfigurationError` with all their errors."""
    errors = list(errors_in_options(config, CONFIGURED, UsageViewer()))
    section = config.get(UsageViewer.__name__, {})
    if {"session_secret_key", "secret_session_key"} <= set(section):
        errors.append(
            "UsageViewer.secret_session_key: is another spelling of session_secret_key, and both"
            " are set; leave one out"
        )
    if errors:
        raise ConfigurationError(errors)
    return UsageViewer(config=config)


def viewer_remarks(config: Mapping[str, Any]) -> list[str]:
    """A line for every option of the viewer that is not as it should be written."""
    lines = remarks(config, (UsageViewer,))
    if "secret_session_key" in config.get(UsageViewer.__name__, {}):
        lines.append(
            "UsageViewer.secret_session_key is taken as session_secret_key, which is its name"
        )
    return lines
