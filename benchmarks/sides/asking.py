"""How a side is asked: a line of JSON in, a line of JSON out. Only Python itself is needed.

{"do": "begin", "options": {...}}     knowing nothing; what is measured otherwise than usual
{"do": "prepare"}                     whatever it reads beforehand
{"do": "launch", "users": [...]}      all at once
{"do": "each", "users": [...]}        one after the other
{"do": "refresh", "users": [...]}     all there are; how many bytes of metrics come of it
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Protocol

DAYS = 30
GROUP = "all"
POLICIES = [
    {"resource": "cpu", "limit": 300, "window": DAYS, "scope": {"group": [GROUP]}},
    {"resource": "memory", "limit": "1000G", "window": DAYS, "scope": {"group": [GROUP]}},
]
"""In the peer's words, which both understand. Nobody uses them up. What the peer says of a user is
about the last of them.
"""


class Side(Protocol):
    """A package that decides."""

    async def begin(self, **options: object) -> None:
        """Forget everything."""
        ...

    async def prepare(self) -> None:
        """Read what is read before launches."""
        ...

    async def launch(self, user: str) -> float:
        """Decide on a launch; returns the byte-hours of memory that were used."""
        ...

    async def refresh(self, users: list[str]) -> int:
        """What is done every minute, and the metrics that are scraped; returns their bytes."""
        ...


async def answer(side: Side, asked: dict) -> dict:
    """The answer to a question."""
    do, users = asked["do"], asked.get("users", [])
    waited: list[float] = []
    used: dict[str, float] = {}

    async def launch(user: str) -> None:
        begun = time.perf_counter()
        try:
            used[user] = await side.launch(user)
        except Exception as error:
            # Failover decides then: it is not among those whose usage is known.
            print(f"{user}: {type(error).__name__}: {error}", file=sys.stderr)
        waited.append(time.perf_counter() - begun)

    found: dict = {}
    begun = time.perf_counter()
    if do == "begin":
        await side.begin(**asked.get("options", {}))
    elif do == "prepare":
        await side.prepare()
    elif do == "launch":
        await asyncio.gather(*(launch(user) for user in users))
    elif do == "each":
        for user in users:
            await launch(user)
    else:
        found["metrics"] = await side.refresh(users)
    return {"seconds": time.perf_counter() - begun, "waited": waited, "used": used, **found}


async def serve(side: Side) -> None:
    """Answer questions until there are none."""
    loop, out = asyncio.get_running_loop(), sys.stdout
    sys.stdout = sys.stderr
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await answer(side, json.loads(line))), file=out, flush=True)
