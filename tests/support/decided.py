"""A ledger that programs find by its name, as an admin's own would be: what is in it, a test says
in the environment.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.quotas.adjustments import Grant

LEDGER = "tests.support.decided.make_ledger"
"""Its importable name, for `UsageQuotaManager.ledger_factory`."""
VARIABLE = "GRANTS_OF_A_TEST"


def granted(**grant: Any) -> str:
    """One grant, as the value of the variable; instants in ISO format."""
    return json.dumps([grant])


def make_ledger() -> MemoryLedger:
    """The ledger, with the grants that the environment has."""
    instants = ("start", "until", "user_created")
    return MemoryLedger(
        Grant(
            **{
                name: datetime.fromisoformat(value) if name in instants else value
                for name, value in one.items()
            }
        )
        for one in json.loads(os.environ.get(VARIABLE, "[]"))
    )
