"""The environment of a service: its own address and the Hub's, as JupyterHub sets them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from jupyterhub.services.auth import HubOAuth
from jupyterhub.utils import make_ssl_context, url_path_join

from ...conventions import ENV_HANDED_OVER, ENV_HUB_PID
from ...errors import ConfigurationError
from .early_port import listening_address

IDENTITY_KEPT = 60
"""How long, in seconds, what the Hub says about a session or token is used again."""


@dataclass(frozen=True, slots=True)
class ServiceEnvironment:
    """The addresses of one service and its Hub, and the service's credentials."""

    name: str
    prefix: str
    url: str
    api_url: str
    api_token: str
    client_id: str
    hub_prefix: str
    hub_host: str
    managed: bool
    """Whether the Hub runs the service and passed on its configuration."""
    hub_pid: int | None
    """The process id of the Hub that runs the service; None where it is not said."""
    tls_files: tuple[str, str, str]
    """Key, certificate and authority for TLS inside of the Hub; empty where it is not used."""
    own_interface: str = ""
    own_port: int = 0
    """Where it listens instead of where its `url` says, if anywhere."""

    @classmethod
    def of(cls, environment: Mapping[str, str], usual_name: str) -> ServiceEnvironment:
        """Read the environment of a service that is named so unless the Hub says otherwise.

        Raises `ConfigurationError` that names what is missing.
        """
        name = environment.get("JUPYTERHUB_SERVICE_NAME") or usual_name
        base = environment.get("JUPYTERHUB_BASE_URL") or "/"
        usual = url_path_join(base, "services", name, "/")
        prefix = url_path_join("/", environment.get("JUPYTERHUB_SERVICE_PREFIX") or usual, "/")
        if not environment.get("JUPYTERHUB_BASE_URL"):
            base = prefix.partition("services/")[0] or "/"
        if not environment.get("JUPYTERHUB_API_TOKEN"):
            raise ConfigurationError(
                [
                    "JUPYTERHUB_API_TOKEN: is not set. The Hub sets it for a service that it runs;"
                    " for one that runs by itself, set it to the service's api_token"
                ]
            )
        return cls(
            name,
            prefix,
            environment.get("JUPYTERHUB_SERVICE_URL") or "http://127.0.0.1:9000",
            environment.get("JUPYTERHUB_API_URL") or "http://127.0.0.1:8081/hub/api",
            environment["JUPYTERHUB_API_TOKEN"],
            environment.get("JUPYTERHUB_CLIENT_ID") or f"service-{name}",
            url_path_join(base, "hub", "/"),
            environment.get("JUPYTERHUB_HOST", ""),
            managed=f"{ENV_HANDED_OVER}_0" in environment,
            hub_pid=_number(environment.get(ENV_HUB_PID, "")),
            tls_files=(
                environment.get("JUPYTERHUB_SSL_KEYFILE", ""),
                environment.get("JUPYTERHUB_SSL_CERTFILE", ""),
                environment.get("JUPYTERHUB_SSL_CLIENT_CA", ""),
            ),
        )

    @property
    def listen_on(self) -> tuple[str, int]:
        """The interface and the port to listen on; an empty interface for all."""
        interface, port = listening_address(self.url)
        return self.own_interface or interface, self.own_port or port

    def tls(self, purpose: ssl.Purpose) -> ssl.SSLContext | None:
        """The context for TLS inside of the Hub; None where the Hub does not use it."""
        key, certificate, authority = self.tls_files
        context: ssl.SSLContext | None = make_ssl_context(
            key, certificate, cafile=authority or None, purpose=purpose
        )
        return context

    @property
    def server_tls(self) -> ssl.SSLContext | None:
        """The context to serve with; None where the service is reached without TLS."""
        return self.tls(ssl.Purpose.CLIENT_AUTH) if self.url.startswith("https:") else None

    def oauth(self) -> HubOAuth:
        """The client that identifies sessions and tokens, and where browsers log in."""
        return HubOAuth(
            base_url=self.prefix,
            api_url=self.api_url,
            api_token=self.api_token,
            oauth_client_id=self.client_id,
            hub_prefix=self.hub_prefix,
            hub_host=self.hub_host,
            cache_max_age=IDENTITY_KEPT,
            access_scopes={"access:services", f"access:services!service={self.name}"},
        )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
