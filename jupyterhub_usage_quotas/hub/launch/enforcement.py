"""The manager: it decides on launches, enforces its decisions, and passes them to observers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...config.quotas import Enforcement, QuotaOptions
from ...config.sessions import sessions_of
from ...conventions import Reason
from ...errors import LedgerUnavailable
from ...ledger.base import NO_LEDGER, Ledger
from ...metering.meter import Meter
from ...quotas.adjustments import Adjustment, Adjustments
from ...quotas.decide import Decision, Outcome
from ...quotas.forecast import largest_that_fits
from ...quotas.messages import said_by
from ...quotas.subject import Subject
from ...quotas.usage import Unknown
from ...quotas.verdict import Request
from ...status.hub_database import pool_members_in
from ...status.inputs import DecisionInputs, adjustments_of, gather, without_usage
from ...status.members import Members
from ...status.running import NO_GUARD, GuardView
from ...status.text import for_log
from ..metrics.own import DecisionCounter, MeterMetrics
from ..pages.text import alternatives
from ..types import HubSpawner, HubUser
from .denial import LaunchDenied, deny
from .kept import forget, keep, server_for_log
from .logged_once import LOGGED
from .message import (
    denial_message,
    nobody_pays_message,
    not_worked_out_message,
    unavailable_message,
)
from .prices import NobodyPays, PriceUnknown, TermsUnknown
from .profiles import stamp_profile
from .progress import progress_text, said_while_starting
from .record import DecisionLog, DecisionObserver, DecisionRecord
from .request import (
    Launch,
    OptionsRefused,
    Paying,
    as_it_is,
    read_launch,
    subject_of_user,
    unread,
)
from .servers import Pending, in_pools

if TYPE_CHECKING:
    from ..sessions.recorder import SessionRecorder


class UsageQuotaManager(QuotaOptions):
    """Enforces usage quotas when a server is started."""

    def __init__(self, *, ledger: Ledger = NO_LEDGER, **kwargs: Any) -> None:
        """Read the configuration; raises `ConfigurationError` with all its errors.

        `ledger` has people's decisions, in place of the configured ledger.
        """
        super().__init__(**kwargs)
        self.ledger = self.make_ledger() if ledger is NO_LEDGER else ledger
        self.pending = Pending()
        self.observers: list[DecisionObserver] = [DecisionCounter(), DecisionLog(self.log)]
        """Each gets every decision on a launch."""
        self.before_launch: list[Callable[[HubUser, HubSpawner], Awaitable[None]]] = []
        """Each is awaited before a launch is decided on; what it raises of ours ends the launch."""
        self.paying: Paying = as_it_is
        """Says which credits pay for a server."""
        self.running: GuardView = NO_GUARD
        """Where running servers stand, for pages and the API."""
        self.on_request: list[Callable[[str], None]] = []
        """Each gets the outcome of every request to Prometheus."""
        self.recorder: SessionRecorder | None = None
        """Keeps the session log of the Hub; set before the meter is first used."""

    @cached_property
    def meter(self) -> Meter:
        """What brings usage from Prometheus, or from the session log."""
        events = MeterMetrics(self.log, self.on_request)
        kept = self.policies.all_measured
        sessions = self.recorder or sessions_of(self.ledger)
        return self.make_meter(events, kept=kept, writer=True, sessions=sessions)

    async def aclose(self) -> None:
        """Close the connections to Prometheus, and the ledger."""
        if "meter" in self.__dict__:
            await self.meter.aclose()
        await self.ledger.aclose()

    async def pre_spawn_start(self, user: HubUser, spawner: HubSpawner) -> None:
        """Decide on a server that is about to start; raises `LaunchDenied` if it may not.

        Called by the spawn hook that `setup_usage_quotas` installs; an authenticator's own
        `pre_spawn_start` can call it just as well.
        """
        asked = datetime.now(UTC)
        if self.enforcement is Enforcement.off:
            launch = await self._read_in_time(user, spawner)
        else:
            with said_while_starting(spawner) as say:
                try:
                    for one in self.before_launch:
                        await one(user, spawner)
                    launch, inputs, decision = await self._decide_in_time(user, spawner)
                except (PriceUnknown, TermsUnknown) as error:
                    self._not_worked_out(error, user, spawner)
                    return
                record = DecisionRecord(decision, self.enforcement, asked, datetime.now(UTC))
                self._tell_observers(record)
                if record.denied:
                    deny(self._denial(decision, launch, inputs), spawner)
                say(self._what_is_left(launch.request, inputs))
        if launch is not None and launch.read:
            self._keep(user, spawner, launch.request, asked)

    def _not_worked_out(
        self, error: PriceUnknown | TermsUnknown, user: HubUser, spawner: HubSpawner
    ) -> None:
        """End a launch because an admin's function failed on it, where quotas are enforced."""
        denial = self._without_price(error, user, spawner)
        if self.enforcement is Enforcement.enforce:
            deny(denial, spawner)

    def _without_price(
        self, error: PriceUnknown | TermsUnknown, user: HubUser, spawner: HubSpawner
    ) -> LaunchDenied:
        said = str(error)
        if isinstance(error, NobodyPays):
            message = nobody_pays_message(self.contact, self.texts)
            return LaunchDenied(message, self.denied_status, said, None)
        self.log.error(
            "The launch of %s cannot be decided on: %s; correct the function in the configuration",
            server_for_log(user.name, spawner.name),
            said,
        )
        message = not_worked_out_message(self.contact, self.texts)
        return LaunchDenied(message, self.unavailable_status, said, None)

    async def would_deny(self, user: HubUser, spawner: HubSpawner) -> LaunchDenied | None:
        """The denial of a server if it took the place of the running one of its name now; None if
        it may start. `spawner` is another than that server's, and does not start. Raises what the
        spawner raises for options that it does not take.
        """
        if self.enforcement is not Enforcement.enforce:
            await self._read_in_time(user, spawner)
            return None
        try:
            launch, inputs, decision = await self._decide_in_time(user, spawner)
        except PriceUnknown as error:
            return self._without_price(error, user, spawner)
        return None if decision.allowed else self._denial(decision, launch, inputs)

    def _what_is_left(self, request: Request, inputs: DecisionInputs) -> str:
        """For the page of the server that is starting. Where quotas are not enforced nothing ends
        it, and nothing is said.
        """
        if self.enforcement is not Enforcement.enforce or not self.show_at_launch:
            return ""
        try:
            return progress_text(inputs, request, self.texts)
        except Exception:
            LOGGED.exception(
                self.log,
                "What is left cannot be shown while %s starts; it starts without; report it",
                server_for_log(request.subject.name, request.server_name),
            )
            return ""

    def _keep(self, user: HubUser, spawner: HubSpawner, request: Request, asked: datetime) -> None:
        try:
            keep(spawner, request, asked)
        except Exception:
            # What comes of the launch is decided already.
            LOGGED.exception(
                self.log,
                "What %s requests could not be kept; report it, what the server uses is not known",
                server_for_log(user.name, spawner.name),
            )

    async def _read(self, user: HubUser, spawner: HubSpawner) -> Launch:
        forget(spawner)
        if self.recorder:
            self.recorder.watch(spawner)
        policies = self.policies
        launch = await read_launch(
            user, spawner, policies.resources, self.profile_of_server, self.paying
        )
        launch = replace(launch, request=launch.request.priced(policies))
        stamp_profile(spawner, launch.request.server.profile, launch.request.profile_name)
        return launch

    async def _read_in_time(self, user: HubUser, spawner: HubSpawner) -> Launch | None:
        """The launch, on which nothing is decided; None where it cannot be read."""
        try:
            async with asyncio.timeout(self.deadline):
                return await self._read(user, spawner)
        except OptionsRefused as refused:
            raise refused.__cause__ or refused from None
        except Exception:
            LOGGED.exception(
                self.log,
                "What %s requests cannot be read; report it, what the server uses is not known",
                server_for_log(user.name, spawner.name),
            )
            return None

    async def _decide_in_time(
        self, user: HubUser, spawner: HubSpawner
    ) -> tuple[Launch, DecisionInputs, Decision]:
        """The decision within the deadline, whatever happens: a launch never hangs on us."""
        subject = subject_of_user(user)
        # Begun first: what people decided holds where usage is not known in time, too.
        decided = asyncio.create_task(
            adjustments_of(self.ledger, self.policies, [subject], datetime.now(UTC))
        )
        try:
            return await self._decide_with(decided, subject, user, spawner)
        finally:
            decided.cancel()

    async def _decide_with(
        self,
        decided: asyncio.Task[Adjustments],
        subject: Subject,
        user: HubUser,
        spawner: HubSpawner,
    ) -> tuple[Launch, DecisionInputs, Decision]:
        """The same with the adjustments that are on their way."""
        launch = unread(Request(subject, spawner.name), self.policies.resources)
        try:
            async with asyncio.timeout(self.deadline):
                launch = await self._read(user, spawner)
                members = pool_members_in(user.db, self.policies)
                inputs = await self._gather(launch.request.subject, members, decided)
                # Nothing is awaited from here on until the launch is noted: of several launches
                # at once each sees the ones before it.
                return launch, *self._decide_with_in_flight(inputs, user, spawner, launch.request)
        except OptionsRefused as refused:
            # As the spawner would raise it a moment later.
            raise refused.__cause__ or refused from None
        except PriceUnknown:
            raise
        except TimeoutError:
            unknown = Unknown(Reason.TIMEOUT, f"no decision within {self.deadline:g} s")
        except LedgerUnavailable as error:
            # It was never read, or the next launch would find what was read before.
            unknown = Unknown(Reason.LEDGER_UNAVAILABLE, str(error))
        except Exception as error:
            # A bug of ours must not become a failure of the Hub; failover is for exactly this.
            self.log.exception(
                "Deciding on a launch of %s failed; failover decides; report it",
                server_for_log(user.name, spawner.name),
            )
            unknown = Unknown(Reason.INTERNAL_ERROR, said_by(error))
        adjustments = await self._decided_by_now(decided, launch.request.subject)
        return launch, *self._decide_without_usage(launch.request, unknown, adjustments)

    @staticmethod
    async def _decided_by_now(
        decided: asyncio.Task[Adjustments], subject: Subject
    ) -> Sequence[Adjustment]:
        """What people decided about a user, as far as the ledger has answered."""
        await asyncio.wait([decided], timeout=0)
        answered = decided.done() and not decided.cancelled() and decided.exception() is None
        return decided.result().of(subject) if answered else ()

    def _decide_without_usage(
        self, request: Request, unknown: Unknown, adjustments: Sequence[Adjustment]
    ) -> tuple[DecisionInputs, Decision]:
        """The decision on a launch where no usage is known."""
        now = datetime.now(UTC)
        inputs = without_usage(self.policies, request.subject, unknown, adjustments, now)
        return inputs, inputs.decide(request)

    async def _gather(
        self, subject: Subject, members: Members, decided: Awaitable[Adjustments]
    ) -> DecisionInputs:
        now = datetime.now(UTC)
        gathered = await gather(
            self.policies, self.meter, self.ledger, [subject], now, members, decided=decided
        )
        return gathered.of(subject)

    def _decide_with_in_flight(
        self, inputs: DecisionInputs, user: HubUser, spawner: HubSpawner, request: Request
    ) -> tuple[DecisionInputs, Decision]:
        """The decision with what only the Hub knows; a launch that it lets pass is noted."""
        users = in_pools(self._hub_users([user]), inputs.pools, user) if inputs.pools else [user]
        in_flight = self.pending.in_flight(users, spawner, reserved=True)
        inputs = inputs.with_in_flight(in_flight)
        decision = inputs.decide(request)
        if decision.allowed or self.enforcement is not Enforcement.enforce:
            self.pending.add(spawner, request)
        return inputs, decision

    def _hub_users(self, otherwise: Sequence[HubUser]) -> Sequence[HubUser]:
        """The users that the Hub has in memory, among them all with running servers."""
        # The parent of a manager is the Hub, or an authenticator of an admin's.
        users: Mapping[int, HubUser] | None = getattr(self.parent, "users", None)
        return list(users.values()) if users is not None else otherwise

    def _tell_observers(self, record: DecisionRecord) -> None:
        for observer in self.observers:
            try:
                observer.decided(record)
            except Exception:
                # What comes of a launch is decided already.
                kind = type(observer).__name__
                self.log.exception("%s failed on a decision on a launch; the decision stands", kind)

    def _denial(self, decision: Decision, launch: Launch, inputs: DecisionInputs) -> LaunchDenied:
        now = datetime.now(UTC)
        if decision.outcome is not Outcome.DENIED:
            message = unavailable_message(self.contact, self.texts)
            log = for_log(decision)
            return LaunchDenied(message, self.unavailable_status, log, timedelta(minutes=1))
        advice = ""
        if decision.binding and decision.binding.never:
            by = decision.binding.allotment.resource
            advice = largest_that_fits(self.policies, launch.profiles, by, now) or ""
        resources = self.policies.resources
        message = denial_message(decision, self.contact, resources, advice, self.texts)
        retry_time = decision.retry_time
        wait = max(retry_time - now, timedelta(0)) if retry_time else None
        denial = LaunchDenied(message, self.denied_status, for_log(decision), wait)
        denial.usage_quota_retry_time = retry_time
        denial.usage_quota_starts = {
            one.allotment.name: one.retry_time for one in decision.denying if one.retry_time
        }
        if self.suggest_alternatives:
            try:
                denial.usage_quota_alternatives = alternatives(inputs, launch, self.texts)
            except Exception:
                # A denial without advice is better than none.
                asked = launch.request
                self.log.exception(
                    "Working out alternatives to %s failed; the denial has none; report it",
                    server_for_log(asked.subject.name, asked.server.name),
                )
        return denial
