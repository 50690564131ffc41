"""What the Hub serves: the endpoints, the page on which users wait for another profile, and why a
server is gone.
"""

from __future__ import annotations

from typing import Any, Final

from jupyterhub import apihandlers
from jupyterhub import handlers as pages

from ...conventions import HUB_API
from ..launch.enforcement import UsageQuotaManager
from .answers import Answers
from .gone_page import PAGE as GONE
from .gone_page import GonePage
from .handlers import StatusHandler
from .switch_handler import SwitchHandler
from .switch_page import PAGE, SwitchPage
from .switching import Switches

USER: Final = r"users/([^/]+)"


def serve(manager: UsageQuotaManager, answers: Answers, switches: Switches) -> None:
    """Have the Hub serve these.

    Not by `JupyterHub.extra_handlers`, whose use the Hub warns of in every log.
    """
    switching: dict[str, Any] = {"manager": manager, "switches": switches}
    apihandlers.default_handlers += [
        (rf"/api/{HUB_API}/{USER}", StatusHandler, {"answers": answers}),
        (rf"/api/{HUB_API}/{USER}/switch", SwitchHandler, switching),
    ]
    pages.default_handlers += [
        (rf"/{PAGE}/([^/]+)(?:/([^/]+))?", SwitchPage, switching),
        (rf"/{GONE}/([^/]+)(?:/([^/]+))?", GonePage, switching),
    ]
