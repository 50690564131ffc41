"""What users read while their server starts: what is left, and for how long the server can run.

It is an event before those of the spawner, on the Hub's own page. So it needs nothing of a spawner
but what JupyterHub needs itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from typing import Any, Final

from ...quotas.verdict import Request
from ...status.chip import chip
from ...status.inputs import DecisionInputs
from ...status.language import Language
from ...status.users import UserStatus, forecast
from ..types import HubSpawner

_INNER: Final = "_usage_quota_inner"
"""Where our progress has the one that it goes before."""
PERCENT: Final = 5


def progress_text(inputs: DecisionInputs, request: Request, language: Language) -> str:
    """What is left to the user, and for how long this server can run; empty where nothing limits
    them, or that is not known.
    """
    subject = request.subject
    status = UserStatus(inputs, inputs.decide(Request(subject)), tuple(inputs.running))
    short = chip(status, language=language)
    if short is None:
        return ""
    left = language.gettext("Usage quotas: {what}.", what=short.text)
    lasts = forecast(inputs, request).lasts
    if not lasts or lasts <= timedelta(0):
        return left
    time = language.gettext("This server can run for {time}.", time=language.duration(lasts))
    return f"{left} {time}"


@contextmanager
def said_while_starting(spawner: HubSpawner) -> Iterator[Callable[[str], None]]:
    """Show a text first on the page of a server that is starting: what is passed on meanwhile, or
    nothing. The page may be opened before it is known: the spawner's own events wait for it, too.
    """
    usual: Any = getattr(spawner.progress, _INNER, spawner.progress)
    text: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def progress() -> AsyncIterator[Any]:
        # The text is everybody's who has the page open: that one of them goes ends nothing.
        if said := await asyncio.shield(text):
            yield {"progress": PERCENT, "message": said}
        async with aclosing(usual()) as events:
            async for event in events:
                yield event

    # A spawner can be started again: its progress is then wrapped anew, and not once more.
    setattr(progress, _INNER, usual)
    spawner.progress = progress
    try:
        yield text.set_result
    finally:
        if not text.done():
            text.set_result("")
