"""What is left of JupyterHub's usage quotas, in JupyterLab: an extension of the server, and one of
the page.
"""

from __future__ import annotations

from typing import Any

__version__ = "1.0.0.dev0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyterlab-usage-quotas"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "jupyterlab_usage_quotas"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add the handlers. Outside of a JupyterHub there is nothing to show."""
    from .handlers import add_handlers  # noqa: PLC0415 only a server has what that needs
    from .hub import Hub  # noqa: PLC0415

    hub = Hub.of_environment()
    if hub is not None:
        add_handlers(server.web_app, hub)
