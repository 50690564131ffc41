"""Making the guard of a Hub, as its options say."""

from __future__ import annotations

from functools import partial

from ...config.guard import Guarding
from ...config.quotas import Enforcement
from ...ledger.sql.cached import CachedLedger
from ...ledger.sql.guarding import SqlGuard
from ...status.snapshot import StatusSnapshot
from ..launch.enforcement import UsageQuotaManager
from ..ledger import database_of
from ..refresh import start
from ..types import HubApp
from .desk import NoticeDesk
from .guard import Guard
from .hub_api import declare_guard, open_hub_api
from .judging import Judge
from .memory import Memory
from .outbox import NoticesInMemory, Outbox
from .stops import Stops
from .targets import targets_of

LONGEST_HUB = 255
"""Characters of what tells Hubs apart that share a ledger."""


def is_guarded(manager: UsageQuotaManager) -> bool:
    """Whether running servers are watched: some policy may stop them."""
    on = manager.guard is not Guarding.off and manager.enforcement is not Enforcement.off
    return on and any(one.stops for one in manager.policies)


def is_enforced(manager: UsageQuotaManager) -> bool:
    """Whether running servers are stopped."""
    enforced = manager.enforcement is Enforcement.enforce
    return is_guarded(manager) and enforced and manager.guard is Guarding.enforce


def prepare_guard(app: HubApp, manager: UsageQuotaManager) -> None:
    """Declare to the Hub what the guard needs, before it starts."""
    if is_enforced(manager):
        declare_guard(app)


def make_guard(app: HubApp, manager: UsageQuotaManager, snapshot: StatusSnapshot) -> Guard | None:
    """The guard of a Hub; None where no policy may stop a server, or it is off."""
    if not is_guarded(manager):
        return None
    enforced, ledger = is_enforced(manager), manager.ledger
    hub = f"{manager.hub_namespace}{app.base_url}"[:LONGEST_HUB]
    database = database_of(ledger) if enforced else None
    sql = SqlGuard(database, hub) if database else None
    targets = targets_of(manager) if enforced else []
    waiting = NoticesInMemory()
    outbox = Outbox(sql or waiting, targets, app.log)
    memory = Memory(
        sql,
        app.log,
        enforced=enforced,
        to_send=bool(targets),
        written=outbox.wake,
        without_database=waiting.add if targets else lambda _: None,
    )
    if targets or sql:
        start(outbox.run, "notices")
    judge = Judge(manager.policies, manager.meter, ledger, snapshot, manager.stopping_rules)

    def make_stops(guard: Guard) -> Stops:
        return Stops(partial(open_hub_api, app), guard.is_still_over, guard.stop_ended, app.log)

    guard = Guard(
        app,
        judge,
        ledger,
        memory,
        NoticeDesk(memory, manager.texts, app.log, enforced=enforced),
        make_stops,
        hub=hub,
        enforced=enforced,
    )
    if isinstance(ledger, CachedLedger):
        ledger.on_change.append(guard.ledger_changed)
    manager.running = guard
    return guard
