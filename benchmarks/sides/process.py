"""A side in a process of its own, as the benchmarks ask it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.store import Store, measured
from benchmarks.world import NAMESPACE

OURS = (sys.executable, "-m", "benchmarks.sides.ours")


class Process:
    """A side, and what its answers take."""

    def __init__(self, what: str, store: Store, command: Sequence[str] = OURS) -> None:
        self.what = what
        self._store = store
        self._process = subprocess.Popen(
            [*command, store.url, NAMESPACE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(
        self, do: str, users: Sequence[str] = (), **options: Any
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """The answer to a question, and what it took."""
        question = json.dumps({"do": do, "users": users, "options": options})
        with measured(self._store, self._process.pid) as figures:
            print(question, file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.what} ended when it was asked to {do}")
        answer = json.loads(line)
        # Without the way there and back.
        return answer, figures | {"seconds": answer["seconds"]}

    def end(self) -> None:
        """Ask no more."""
        self._process.stdin.close()
        self._process.wait(30)
