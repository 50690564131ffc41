"""What an admin's functions give for a user: called with names, checked, remembered."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.credits.options import parse_credits
from jupyterhub_usage_quotas.config.credits.written import written_in
from jupyterhub_usage_quotas.hub.credits.paying import Paying
from jupyterhub_usage_quotas.hub.credits.terms import CreditTerms
from jupyterhub_usage_quotas.hub.launch.prices import NobodyPays, PriceUnknown, TermsUnknown
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from tests.support.hub_objects import hub_user
from tests.unit.config.credits.test_written import PROJECT, Billing, MixinAuthenticator

ADA = Subject("ada", frozenset({"premium", "staff"}), admin=True)


@pytest.fixture
async def ledger(tmp_path):
    made = CachedLedger(SqlLedger.at(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    made.journal.database.upgrades = True
    await made.refresh()
    yield made
    await made.aclose()


def terms_for(ledger, users=(), deadline=5.0, **written):
    found = written_in(MixinAuthenticator, Billing, Config({"MixinAuthenticator": written}))
    app = SimpleNamespace(
        log=logging.getLogger("terms"),
        users=dict(enumerate(users)),
        trait_has_value=lambda name: name == "users",
        authenticator="the Hub's",
    )
    return CreditTerms(app, found, parse_credits(found.option), ledger, deadline)


def given(ledger, user="ada"):
    return {
        one.policy: (one.limit, one.refill and (one.refill[0], one.refill[1].total_seconds()))
        for one in ledger.terms.of(user)
    }


async def test_functions_get_names_groups_as_names_and_admin(ledger):
    called = []

    def cap(username, user_groups=[], is_admin=False):  # noqa: B006 as the seed has it
        called.append((username, user_groups, is_admin))
        return 1000 if "premium" in user_groups else 30

    async def value(*_):
        await asyncio.sleep(0)
        return 7

    terms = terms_for(ledger, credits_user_cap=cap, credits_user_grant_value=value)
    await terms.agree(ADA)
    assert called == [("ada", ["premium", "staff"], True)]
    assert given(ledger) == {"credits": (1000, (7, 600))}


@pytest.mark.parametrize(
    "function",
    [
        lambda authenticator, name, groups, admin, auth_state: ENTRIES[auth_state],
        lambda name, groups, admin, auth_state: ENTRIES[auth_state],
        lambda name, groups, admin: ENTRIES["gold"],
    ],
)
async def test_the_newer_function_in_all_its_forms(ledger, function):
    async def auth_state():
        return "gold"

    await terms_for(ledger, credits_user=function).agree(ADA, auth_state)
    assert given(ledger)["credits"] == (40, (4, 120))


ENTRIES = {"gold": {"name": "g", "cap": 40, "grant_value": 4, "grant_interval": 120}}


async def test_a_function_may_return_several_entries_whose_names_are_known(ledger):
    gold = ENTRIES["gold"] | {"name": "gold", "user_options": {"system": "A"}}
    said = {"ada": [gold, ENTRIES["gold"]], "bob": [ENTRIES["gold"]], "eve": [gold | {"name": "x"}]}
    terms = terms_for(
        ledger,
        credits_user=lambda name, groups, admin: said[name],
        credits_user_names=["g", "gold"],
    )
    await terms.agree(ADA)
    await terms.agree(Subject("bob"))
    assert set(given(ledger)) == {"credits: gold", "credits: g"}
    assert set(given(ledger, "bob")) == {"credits: g"}
    with pytest.raises(TermsUnknown, match="all names of its entries in credits_user_names"):
        await terms.agree(Subject("eve"))


async def test_the_first_entry_whose_options_are_chosen_pays(ledger):
    gold = ENTRIES["gold"] | {"name": "gold", "user_options": {"system": "A"}}
    said = {"ada": [gold, ENTRIES["gold"]], "bob": [gold]}
    terms = terms_for(
        ledger,
        credits_user=lambda name, groups, admin: said[name],
        credits_user_names=["g", "gold"],
    )
    paying = Paying(terms._credits, terms.entries.get)

    def request(name, **options):
        asked = Request(Subject(name), choices=("m=8", "credits=forged"), rates={"credits": 1.0})
        return paying(asked, options).choices

    with pytest.raises(PriceUnknown, match="logged in again"):
        request("ada")
    await terms.agree(ADA)
    await terms.agree(Subject("bob"))
    assert request("ada", system=["A"]) == ("credits=gold", "m=8")
    assert request("ada", system="B") == ("credits=g", "m=8")
    with pytest.raises(NobodyPays):
        request("bob")
    free = paying(Request(Subject("bob"), choices=("credits=gold",)), {})
    assert free.choices == ()


async def test_a_project_is_assigned_and_taken_away(ledger):
    of = {"ada": "p"}
    terms = terms_for(
        ledger,
        credits_available_projects=[PROJECT],
        credits_user_project=lambda name, *_: of.get(name),
    )
    await terms.agree(ADA)
    assert ledger.terms.assigned["credits of project p"] == {"ada"}
    of["ada"] = "unknown"
    await terms.agree(ADA)
    assert "credits of project p" not in ledger.terms.assigned


@pytest.mark.parametrize(
    "value", [-5, "30", None, True, float("nan"), float("inf"), ["2"] * 10, 10**400, object()]
)
async def test_what_no_credits_can_be_fails_that_launch(ledger, value):
    terms = terms_for(ledger, credits_user_cap=lambda *_: value)
    with pytest.raises(TermsUnknown, match="'ada' cannot be worked out: cap: got"):
        await terms.agree(ADA)
    assert given(ledger) == {}


async def test_a_function_that_fails_says_so(ledger):
    def cap(name, *_):
        return {"bob": 30}[name]

    terms = terms_for(ledger, credits_user_cap=cap)
    with pytest.raises(TermsUnknown, match="KeyError: 'ada'"):
        await terms.agree(ADA)
    # And takes nobody else's launch with it.
    await terms.agree(Subject("bob"))
    assert given(ledger, "bob") == {"credits": (30, (10, 600))}


async def test_a_function_that_hangs_holds_nobody(ledger):
    async def cap(*_):
        await asyncio.Event().wait()

    with pytest.raises(TermsUnknown, match=r"no answer within 0\.01 s"):
        await terms_for(ledger, deadline=0.01, credits_user_cap=cap).agree(ADA)


async def test_at_a_login_it_is_only_logged_and_what_was_given_before_counts(ledger, caplog):
    caps = [30, "nonsense"]
    terms = terms_for(ledger, [hub_user("ada")], credits_user_cap=lambda *_: caps.pop(0))
    for _ in range(2):
        await terms.logged_in({"name": "ada", "groups": None, "admin": None}, None)
    assert given(ledger) == {"credits": (30, (10, 600))}
    assert "cap: got 'nonsense'" in caplog.text


async def test_a_login_knows_groups_that_the_hub_does_not_yet(ledger):
    seen = []
    terms = terms_for(ledger, credits_user_cap=lambda *who: seen.append(who) or 1)
    await terms.logged_in({"name": "new", "groups": ["b", "a"], "admin": True}, None)
    assert seen == [("new", ["a", "b"], True)]


async def test_they_are_remembered_for_other_processes_and_the_next_hub(ledger, tmp_path):
    terms = terms_for(ledger, credits_user_cap=lambda *_: 30)
    await terms.agree(ADA)
    await asyncio.gather(*terms.remembered._writing)
    other = CachedLedger(SqlLedger.at(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    await other.refresh()
    assert given(other) == given(ledger) == {"credits": (30, (10, 600))}
    await other.aclose()
