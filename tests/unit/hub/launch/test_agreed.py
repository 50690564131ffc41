"""Limits and scopes that are functions of the user: called with a subject, checked, remembered."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.launch.agreed import PolicyTerms
from jupyterhub_usage_quotas.hub.launch.prices import TermsUnknown
from jupyterhub_usage_quotas.hub.viewer_service import environment_of
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.adjustments import Terms
from jupyterhub_usage_quotas.quotas.resolve import resolve
from jupyterhub_usage_quotas.quotas.subject import Subject

HOUR = 3600.0
ADA, BOB = Subject("ada", frozenset({"staff"})), Subject("bob")


def entry(**more):
    plain = {"name": "mine", "resource": "time", "limit": "20 hours", "window": 7}
    return plain | {"scope": {"everyone": True}} | more


def options_with(*entries):
    return QuotaOptions(
        config=Config(
            {
                "UsageConfig": {"prometheus_url": "http://127.0.0.1:9"},
                "UsageQuotaManager": {"policy": list(entries)},
            }
        )
    )


@pytest.fixture
async def ledger(tmp_path):
    made = CachedLedger(SqlLedger.at(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    made.journal.database.upgrades = True
    await made.refresh()
    yield made
    await made.aclose()


def terms_for(ledger, *entries, deadline=5.0):
    options = options_with(*entries)
    app = SimpleNamespace(log=logging.getLogger("agreed"), users={}, trait_has_value=lambda _: True)
    made = PolicyTerms(app, options.policies, options.policy_functions, ledger, deadline)
    return made, options.policies


def limits(ledger, policies, subject):
    found = resolve(policies, subject, adjustments=ledger.terms.of(subject.name))
    return {one.name: one.limit.base / HOUR for one in found}


async def of_groups(subject):
    await asyncio.sleep(0)
    return "40 hours" if "staff" in subject.groups else {"value": 10, "unit": "hours"}


async def test_each_has_the_limit_that_the_function_gives(ledger):
    terms, policies = terms_for(
        ledger, entry(limit=of_groups), entry(name="other", limit="9 hours")
    )
    assert limits(ledger, policies, ADA) == {"other": 9}, "not called yet"
    await terms.agree(ADA)
    await terms.agree(BOB)
    # Of the same combination, the smaller.
    assert limits(ledger, policies, ADA) == {"other": 9}
    terms, policies = terms_for(ledger, entry(limit=of_groups))
    assert limits(ledger, policies, ADA) == {"mine": 40}
    assert limits(ledger, policies, BOB) == {"mine": 10}


async def test_once_it_is_no_function_any_more_what_it_gave_counts_no_more(ledger):
    terms, _ = terms_for(ledger, entry(limit=of_groups))
    await terms.agree(ADA)
    _, policies = terms_for(ledger, entry(limit="3 hours"))
    assert limits(ledger, policies, ADA) == {"mine": 3}


async def test_a_scope_may_be_one_and_a_written_scope_still_counts(ledger):
    terms, policies = terms_for(
        ledger,
        entry(scope=lambda subject: subject.name == "ada"),
        entry(name="staff", window=14, limit=of_groups, scope={"group": ["staff"]}),
    )
    for subject in (ADA, BOB):
        await terms.agree(subject)
    assert limits(ledger, policies, ADA) == {"mine": 20, "staff": 40}
    assert limits(ledger, policies, BOB) == {}
    assert ledger.terms.assigned["mine"] == {"ada"}


@pytest.mark.parametrize(
    "given",
    [None, -1, "-1 hours", "x", float("inf"), float("nan"), True, [], "1 GiB-hours", object()],
)
async def test_what_no_limit_can_be_fails_that_launch_and_what_was_given_before_counts(
    ledger, given
):
    said = ["5 hours", given]
    terms, policies = terms_for(ledger, entry(limit=lambda _: said.pop(0)))
    await terms.agree(ADA)
    with pytest.raises(TermsUnknown, match="'ada' has by policy 'mine' cannot be worked out"):
        await terms.agree(ADA)
    assert limits(ledger, policies, ADA) == {"mine": 5}


@pytest.mark.parametrize("given", [None, 1, "yes"])
async def test_a_scope_says_yes_or_no(ledger, given):
    terms, _ = terms_for(ledger, entry(scope=lambda _: given))
    with pytest.raises(TermsUnknown, match="expected True or False"):
        await terms.agree(ADA)


async def test_a_function_that_fails_or_hangs_takes_nobody_elses_launch_with_it(ledger):
    async def limit(subject):
        if subject == BOB:
            await asyncio.Event().wait()
        return {"ada": "5 hours"}[subject.name]

    terms, policies = terms_for(ledger, entry(limit=limit), deadline=0.05)
    with pytest.raises(TermsUnknown, match=r"no answer within 0\.05 s"):
        await terms.agree(BOB)
    with pytest.raises(TermsUnknown, match="KeyError: 'eve'"):
        await terms.agree(Subject("eve"))
    await terms.agree(ADA)
    assert limits(ledger, policies, ADA) == {"mine": 5}


async def test_it_is_remembered_beside_what_others_gave_for_another_process(ledger, tmp_path):
    others = Terms.of_user("credits", "ada", None, 30.0)
    ledger.terms.put("ada", [others])
    terms, policies = terms_for(ledger, entry(limit=of_groups))
    await terms.agree(ADA)
    await asyncio.gather(*terms.remembered._writing)
    assert others in ledger.terms.of("ada")
    other = CachedLedger(SqlLedger.at(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    await other.refresh()
    assert limits(other, policies, ADA) == {"mine": 40}
    await other.aclose()


async def test_at_a_login_it_is_only_logged(ledger, caplog):
    def limit(subject):
        return "5 hours" if subject.groups == {"b"} and subject.admin else 1 / 0

    terms, policies = terms_for(ledger, entry(limit=limit))

    class Authenticator:
        async def run_post_auth_hook(self, handler, model):
            return model

    authenticator = Authenticator()
    terms.watch_logins(authenticator)
    model = {"name": "ada", "groups": ["b"], "admin": True}
    assert await authenticator.run_post_auth_hook(None, model) == model
    assert await authenticator.run_post_auth_hook(None, {"name": "eve"}) == {"name": "eve"}
    assert limits(ledger, policies, Subject("ada")) == {"mine": 5}
    assert "ZeroDivisionError" in caplog.text


def test_other_processes_get_the_policies_without_functions():
    options = options_with(entry(limit=of_groups), entry(name="s", scope=lambda _: True))
    assert environment_of({"UsageQuotaManager": {"policy": options.policy}})
    assert set(options.policy_functions) == {"mine", "s"}
    assert options_with(entry()).policy_functions == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": ""}, "a name of its own"),
        ({"share": "pooled"}, "cannot be a function of a user"),
        ({"resource": "tim"}, "unknown resource"),
    ],
)
def test_what_cannot_be_stops_the_hub(given, said):
    with pytest.raises(ConfigurationError, match=said):
        options_with(entry(limit=of_groups) | given)
