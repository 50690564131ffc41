"""Checks of JupyterHub: are quotas enforced and shown, and do denials do no harm?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import jupyterhub
from jupyterhub.scopes import expand_scopes

from ...config.about import INSTALL_PAGE, imported, namesakes
from ...config.quotas import Enforcement
from ...conventions import DISTRIBUTION
from ...errors import ConfigurationError, LedgerUnavailable
from ...hub.launch.spawn_hook import wrapped_by_us
from ...hub.setup import require_hook
from ...hub.viewer_service import declare_viewer, is_viewer, needed_scopes
from ...ledger.base import NO_LEDGER
from ...ledger.sql.cached import CachedLedger
from ...ledger.sql.sqlite import ROLLBACK
from ...quotas.adjustments import Adjustments
from ...quotas.policy.policy import PolicySet
from ...quotas.subject import EVERYONE
from ...quotas.units import show_days
from ..deployment import Deployment
from ..findings import Finding, counted, failed, listed, ok, warning

OLDEST, COUNTS_NO_DENIALS, NOT_TRIED = (5, 4), (6, 0), (7, 0)
"""Versions of JupyterHub: the oldest that is understood, the first that does not count denials as
failures, and the first that nobody has tried.
"""
SECONDS = 5.0
HAVE_SETUP_CALLED = (
    "Call it in the Hub's configuration: `from jupyterhub_usage_quotas import setup_usage_quotas`"
    " and `setup_usage_quotas(c)`. (Where an authenticator's own pre_spawn_start calls a"
    " UsageQuotaManager, it is not needed.)"
)


async def configuration(deployment: Deployment) -> list[Finding]:
    """What the configuration says, and what in it is doubtful."""
    manager = deployment.manager
    policies = list(manager.policies)
    says = (
        f"{counted(len(policies), 'policy', 'policies')}, the longest window is"
        f" {show_days(manager.policies.reach)}; enforcement: {manager.enforcement.value}; when"
        f" usage is not known, launches are {'allowed' if manager.failover_open else 'denied'}"
    )
    found = [ok(says)]
    if not policies:
        cure = "Add them to c.UsageQuotaManager.policy; docs/reference/policies.md has all forms."
        found = [failed("there are no policies: nobody is limited", cure)]
    if manager.enforcement is Enforcement.off:
        found.append(warning("enforcement is off: nothing is decided", "Leave out enforcement."))
    found += [
        warning(line, "If you mean something else, write it differently.")
        for line in manager.doubts()
    ]
    if not manager.hub_namespace and deployment.place.kubernetes:
        found.append(
            warning(
                "hub_namespace is not set: servers of all namespaces count",
                "Set c.UsageConfig.hub_namespace, or users of several Hubs share their usage.",
            )
        )
    return found


async def distribution(_deployment: Deployment) -> list[Finding]:
    """Whether what is imported is what is installed, and not the older package of this name."""
    cure = (
        "Versions below 1 are an older package of other authors. Uninstall both (`python3 -m pip"
        f" uninstall {DISTRIBUTION}`, until it finds none) and install one:"
        f" docs/{INSTALL_PAGE}.md."
    )
    return [warning(line, cure) for line in namesakes()] or [ok(imported())]


async def enforced(deployment: Deployment) -> list[Finding]:
    """Whether launches come to be decided on."""
    sections = (one for one in deployment.config.values() if isinstance(one, Mapping))
    if not any(wrapped_by_us(section.get("pre_spawn_hook")) for section in sections):
        return [failed("setup_usage_quotas(c) is not called", HAVE_SETUP_CALLED)]
    try:
        spawner = deployment.app.spawner_class
        require_hook(spawner)
    except ConfigurationError as error:
        cure = "Correct it in the configuration or in the spawner class; until then no Hub starts."
        return [failed("; ".join(error.errors), cure)]
    return [ok(f"launches of {spawner.__name__} are decided on")]


async def denials(deployment: Deployment) -> list[Finding]:
    """Whether a denial does this JupyterHub no harm."""
    version = jupyterhub.__version__
    if jupyterhub.version_info[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return [
            failed(
                f"JupyterHub {version} is older than {oldest}: denials may end the Hub, which"
                " counts them as failed spawns (consecutive_failure_limit)",
                f"Update to JupyterHub {oldest} or newer"
                f"{': Zero to JupyterHub 4.3 or newer' * deployment.place.kubernetes}.",
            )
        ]
    if jupyterhub.version_info[:2] >= NOT_TRIED:
        return [
            warning(
                f"JupyterHub {version} is newer than any that this version of"
                " jupyterhub-usage-quotas was tested with",
                "Update jupyterhub-usage-quotas, or test a denial before users meet one.",
            )
        ]
    if jupyterhub.version_info[:2] < COUNTS_NO_DENIALS:
        return [ok(f"JupyterHub {version} counts failed spawns; denials are taken off the count")]
    return [ok(f"JupyterHub {version} does not count denials as failures")]


async def service(deployment: Deployment) -> list[Finding]:
    """Whether the dashboard is declared, and with the scopes that it and its users need."""
    try:
        lines = declare_viewer(deployment.app, deployment.manager)
    except ConfigurationError as error:
        return [failed(one, "Correct this option.") for one in error.errors]
    remarks = [warning(line, "Change it as suggested, or leave it out.") for line in lines]
    spec = declared_viewer(deployment)
    if spec is None:
        if remarks:
            return remarks
        return [ok("the Usage Quota Dashboard is switched off (c.UsageViewer.enabled = False)")]
    return [*remarks, *_findings_on_service(deployment, spec)]


def declared_viewer(deployment: Deployment) -> Mapping[str, Any] | None:
    """The dashboard among the Hub's services; None where there is none."""
    return next((dict(spec) for spec in deployment.app.services if is_viewer(spec)), None)


def _findings_on_service(deployment: Deployment, spec: Mapping[str, Any]) -> list[Finding]:
    name = str(spec.get("name", ""))
    found = []
    if not spec.get("url"):
        found.append(
            failed(
                f'the service "{name}" has no url, so the proxy does not lead to it',
                "Give it the address at which the proxy reaches it, for example"
                f" http://{'hub' if deployment.place.kubernetes else '127.0.0.1'}:9000.",
            )
        )
    own = _scopes(deployment, lambda role: name in (role.get("services") or ()))
    needed = needed_scopes(deployment.manager.ledger)
    if missing := sorted(needed - own):
        found.append(
            failed(
                f'the service "{name}" lacks the scopes {", ".join(missing)}',
                "Add them to one of its roles. These are all that it needs:"
                f" {', '.join(sorted(needed))}.",
            )
        )
    access = {f"access:services!service={name}", "access:services"}
    if not access & _scopes(deployment, lambda role: role.get("name") == "user") | _extra(
        deployment
    ):
        found.append(
            warning(
                f'users may not open the service "{name}"',
                f"Add access:services!service={name} to the role `user`, unless it is meant for"
                " some only.",
            )
        )
    return found or [ok(f'the service "{name}" has its url and its scopes, and users may open it')]


def _extra(deployment: Deployment) -> set[str]:
    """What JupyterHub 6 gives users beside the role."""
    return set(getattr(deployment.app, "extra_user_scopes", ()))


def _scopes(deployment: Deployment, wanted: Callable[[Mapping[str, Any]], bool]) -> set[str]:
    """All scopes of the roles that are `wanted`, with those that they imply."""
    given = {
        scope
        for role in deployment.app.load_roles
        if wanted(role)
        for scope in role.get("scopes") or ()
    }
    # Our own scopes are not known outside of the Hub, and "self" says nothing without a user.
    known = {one for one in given - {"self", "inherit"} if not one.startswith("custom:")}
    return given | set(expand_scopes(known))


async def ledger(deployment: Deployment) -> list[Finding]:
    """Whether people's decisions can be read, and are about policies that there are."""
    kept = deployment.manager.ledger
    if kept is NO_LEDGER:
        return [ok("no ledger is set up, so nobody has more or less than the policies say")]
    try:
        async with asyncio.timeout(SECONDS):
            decided = await kept.active(EVERYONE, deployment.clock())
            database = await _of_database(kept) if isinstance(kept, CachedLedger) else []
    except LedgerUnavailable as error:
        return [
            failed(
                f"the ledger cannot be read: {error}",
                "The Hub goes on with what it has read before; where it has read nothing since it"
                " started, launches fail over. docs/how-to/ledger.md has what each needs.",
            )
        ]
    except Exception as error:
        # Whatever keeps it: its failures are its own.
        return [
            failed(
                f"the ledger cannot be read: {type(error).__name__}",
                "Grants, overrides and exemptions are not known, so launches fail over. Check"
                " its database, and the network in between.",
            )
        ]
    policies = deployment.manager.policies
    return [ok("the ledger can be read"), *database, *_of_policies(decided, policies)]


async def _of_database(kept: CachedLedger) -> list[Finding]:
    """Whether a ledger in SQL is as it was written, and how SQLite writes it."""
    found = []
    report = await kept.journal.verify()
    if report.broken_at is None:
        head = f"{report.head[:12]}…" if report.head else "none"
        found.append(ok(f"all {report.entries} entries are as they were written (head: {head})"))
    else:
        found.append(
            failed(
                f"entry {report.broken_at} of the ledger is not as it was written: {report.why}",
                "Somebody has changed the database past its triggers. Compare it with a backup, and"
                " find out who may do so.",
            )
        )
    if await kept.journal.journal_mode() == ROLLBACK:
        found.append(ok("SQLite keeps a rollback journal: this file system has no write-ahead log"))
    if late := await kept.journal.late_writes():
        settings = ", ".join(f"{name} = {value}" for name, value in sorted(late.items()))
        found.append(
            warning(
                f"the ledger's server acknowledges what is not on its disk yet: {settings}",
                "A decision that somebody was told is written may be gone after a power cut. Set"
                f" {listed(sorted(late))} to what the server has by default.",
            )
        )
    return found


def _of_policies(decided: Adjustments, policies: PolicySet) -> Iterator[Finding]:
    adjusted = {one.policy for one in (*decided.everyone, *chain(*decided.by_user.values()))}
    if lost := adjusted - {one.name for one in policies}:
        yield warning(
            f"the ledger has adjustments for policies that do not exist: {listed(sorted(lost))}",
            "They have no effect. A policy's adjustments belong to its name: give it the name"
            " that it had, or void them.",
        )
    if policies.default_names:
        yield warning(
            "policies without a name of their own cannot be adjusted:"
            f" {listed(sorted(policies.default_names))}",
            'Give each a name in c.UsageQuotaManager.policy, for example "name": "memory-week".',
        )
