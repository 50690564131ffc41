"""Making the guard of a Hub, as its options say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ...config.guard import Guarding
from ...config.quotas import Enforcement
from ...ledger.sql.cached import CachedLedger
from ...ledger.sql.guarding import GuardChanges, SqlGuard
from ...quotas.stopping.notices import Notice, hub_key
from ...status.snapshot import StatusSnapshot
from ...status.users import UserStatuses
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
from .summaries import Summaries
from .targets import Targets, targets_of


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


@dataclass(frozen=True)
class Post:
    """Where notices wait, and what sends them; `sql` is None without a database."""

    hub: str
    sql: SqlGuard | None
    in_memory: NoticesInMemory
    targets: Targets
    outbox: Outbox

    async def send(self, notices: Sequence[Notice]) -> None:
        """Have notices sent that are not there already. Raises `LedgerUnavailable`."""
        if self.sql is not None:
            await self.sql.write(GuardChanges({}, (), notices, sent=True))
        else:
            for one in notices:
                self.in_memory.add(one)
        self.outbox.wake()


def open_post(app: HubApp, manager: UsageQuotaManager) -> Post:
    """Where notices wait, and what sends them."""
    hub = hub_key(manager.hub_namespace, app.base_url)
    database = database_of(manager.ledger)
    sql, targets = SqlGuard(database, hub) if database else None, targets_of(manager)
    in_memory = NoticesInMemory()
    return Post(hub, sql, in_memory, targets, Outbox(sql or in_memory, targets, app.log))


def start_notices(app: HubApp, manager: UsageQuotaManager, statuses: UserStatuses) -> Post:
    """Start what sends notices, and weekly summaries to whoever is to get some."""
    post = open_post(app, manager)
    summed = bool(manager.weekly_summary) or manager.weekly_summary_to_owners
    if post.targets or (post.sql and is_enforced(manager)):
        start(post.outbox.run, "notices")
    if summed and not post.targets:
        app.log.warning(
            "Weekly summaries are sent to nobody: there is nothing to send them by; set"
            " c.UsageQuotaManager.notice_urls, notice_webhooks or on_notice"
        )
    elif summed:
        is_known = partial(manager.meter.is_fresh, manager.policies.reach)
        weekly = Summaries(app, manager, statuses, post.hub, post.send, is_known)
        start(weekly.run, "weekly summaries")
    return post


def make_guard(
    app: HubApp, manager: UsageQuotaManager, snapshot: StatusSnapshot, post: Post
) -> Guard | None:
    """The guard of a Hub; None where no policy may stop a server, or it is off."""
    if not is_guarded(manager):
        return None
    enforced, ledger = is_enforced(manager), manager.ledger
    to_send = enforced and bool(post.targets)
    memory = Memory(
        post.sql if enforced else None,
        app.log,
        enforced=enforced,
        to_send=to_send,
        written=post.outbox.wake,
        without_database=post.in_memory.add if to_send else lambda _: None,
    )
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
        hub=post.hub,
        enforced=enforced,
    )
    if isinstance(ledger, CachedLedger):
        ledger.on_change.append(guard.ledger_changed)
    manager.running = guard
    return guard
