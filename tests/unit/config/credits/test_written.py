"""What an admin wrote for the credit service, of either generation, as policies of ours."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas.config.credits.applying import apply_credits
from jupyterhub_usage_quotas.config.credits.entries import arity_of, matches
from jupyterhub_usage_quotas.config.credits.options import parse_credits
from jupyterhub_usage_quotas.config.credits.values import InvalidCredits, refilled
from jupyterhub_usage_quotas.config.credits.written import in_utc, written_in
from jupyterhub_usage_quotas.config.files.loading import load_config
from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.credits.authenticator import CreditsAuthenticator, CreditsSpawner
from jupyterhub_usage_quotas.hub.setup import require_profiles
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage
from jupyterhub_usage_quotas.quotas.windows.base import from_unix

DAY = 86400
OTHER = {"name": "q", "cap": 20, "grant_value": 5, "grant_interval": 600}
PROJECT = {"name": "p", "cap": 500, "grant_value": 50, "grant_interval": 3600}


class MixinAuthenticator(DummyAuthenticator, CreditsAuthenticator):
    pass


class Billing(SimpleLocalProcessSpawner, CreditsSpawner):
    pass


def written(section="MixinAuthenticator", spawner=Billing, authenticator=MixinAuthenticator, **of):
    return written_in(authenticator, spawner, Config({section: of}))


def policies_of(made):
    config = Config({"UsageQuotaManager": {"credits": json.loads(json.dumps(made.option))}})
    return {one.name: one for one in QuotaOptions(config=config).policies}


def numbers(policy):
    amount, every = policy.window.refilled_by
    return policy.limit.base, amount, every.total_seconds()


def test_what_nobody_wrote_is_as_in_the_credit_service():
    made = written()
    assert not made.resolves
    own = policies_of(made)["credits"]
    assert numbers(own) == (100, 10, 600)
    assert own.when_exhausted == "stop"


def test_the_environment_has_other_defaults(monkeypatch: pytest.MonkeyPatch):
    for name, value in [("CAP", "70"), ("GRANT_VALUE", "7"), ("GRANT_INTERVAL", "300")]:
        monkeypatch.setenv(f"JUPYTERHUB_CREDITS_USER_{name}", value)
    assert numbers(policies_of(written())["credits"]) == (70, 7, 300)
    monkeypatch.setenv("JUPYTERHUB_CREDITS_USER_CAP", "many")
    with pytest.raises(ConfigurationError, match="credits_user_cap: got 'many'"):
        written()


@pytest.mark.parametrize("value", ["0", "false", "no"])
def test_they_can_be_off(monkeypatch: pytest.MonkeyPatch, value: str):
    assert written(credits_enabled=False) is None
    monkeypatch.setenv("JUPYTERHUB_CREDITS_ENABLED", value)
    assert written() is None
    assert written(authenticator=DummyAuthenticator) is None


def test_every_section_of_the_class_is_read():
    made = written("CreditsAuthenticator", credits_user_cap=30)
    assert numbers(policies_of(made)["credits"]) == (30, 10, 600)


def test_a_default_of_the_admins_own_class_counts():
    class Ours(MixinAuthenticator):
        credits_user_cap = 12

    assert numbers(policies_of(written(authenticator=Ours))["credits"]) == (12, 10, 600)


def test_functions_are_called_for_each_user_later():
    made = written(credits_user_cap=lambda *_: 30, credits_user_grant_value=5)
    assert made.resolves
    assert numbers(policies_of(made)["credits"]) == (100, 5, 600)


async def projects_later():
    await asyncio.sleep(0)
    return [PROJECT]


@pytest.mark.parametrize("given", [[PROJECT], lambda: [PROJECT], projects_later])
async def test_projects_are_pools_that_pay_first(given):
    made = written(credits_available_projects=given, credits_user_project=lambda *_: "p")
    project = policies_of(made)["credits of project p"]
    assert numbers(project) == (500, 50, 3600)
    assert project.pooled
    assert project.overflow
    assert project.scope.assigned
    assert not project.scope.everyone


def test_the_second_generation_names_all_at_once():
    entry = {"name": "gold", "cap": 40, "grant_value": 4, "grant_interval": 120}
    for form in (entry, [entry]):
        made = written(credits_user=form)
        assert numbers(policies_of(made)["credits"]) == (40, 4, 120)
    everyones = policies_of(written(credits_user=entry | {"project": PROJECT}))
    assert everyones["credits of project p"].scope.everyone


def test_several_entries_are_policies_of_their_own_servers():
    gold = {"name": "gold", "cap": 40, "grant_value": 4, "grant_interval": 120}
    gold |= {"user_options": {"system": "A"}, "project": PROJECT}
    made = policies_of(written(credits_user=[gold, OTHER]))
    assert set(made) == {"credits: gold", "credits: q", "credits of project p"}
    assert numbers(made["credits: q"]) == (20, 5, 600)
    for server, pays in [("/credits=gold", "gold"), ("large/m=8/credits=q", "q")]:
        of = ServerAttributes(server)
        assert made["credits: gold"].servers.selects(of) is (pays == "gold")
        assert made["credits: q"].servers.selects(of) is (pays == "q")
    # A project pays first for its own entry, and for no other.
    assert made["credits of project p"].measure == made["credits: gold"].measure
    assert made["credits of project p"].scope.everyone


def test_what_pays_is_no_profile_so_that_a_spawner_needs_none():
    gold = OTHER | {"user_options": {"system": "A"}, "project": PROJECT}
    made = written(credits_user=[gold, OTHER | {"name": "r"}])
    options = QuotaOptions(config=Config({"UsageQuotaManager": {"credits": made.option}}))
    require_profiles(Billing, options)
    selecting = {one.name for one in options.policies if one.servers.by_profile}
    assert selecting == options.by_what_pays == {"credits: q", "credits: r", "credits of project p"}


def test_entries_of_a_function_are_there_before_it_is_called():
    made = written(credits_user=lambda a, b, c: [OTHER], credits_user_names=["q", "r"])
    policies = policies_of(made)
    assert set(policies) == {"credits: q", "credits: r"}
    assert all(one.scope.assigned and not one.scope.everyone for one in policies.values())


def test_what_is_never_granted_never_comes_back():
    own = policies_of(written(credits_user=OTHER | {"grant_value": 0}))["credits"]
    assert numbers(own) == (20, 0, 600)
    usage = Usage((Bucket(0.0, 10.0, 15.0, ServerAttributes()),), from_unix(10**9))
    assert own.window.used(usage, from_unix(10**9)) == 15
    assert own.window.earliest(usage, lambda missing: missing < 15, from_unix(10**9)) is None
    assert "never refilled" in str(own.window)


@pytest.mark.parametrize(("zone", "utc"), [("UTC", "07:30"), ("Asia/Kolkata", "02:00")])
def test_credits_are_granted_at_a_time_of_the_day(monkeypatch, zone, utc):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert in_utc("07:30") == utc
        made = written(
            credits_user=OTHER | {"grant_interval": DAY}, credits_grant_sync_time="07:30"
        )
        before, after = policies_of(made)["credits"].window.steps_around(from_unix(10**9))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert f"{before:%H:%M}" == f"{after:%H:%M}" == utc
    assert before <= from_unix(10**9) < after


@pytest.mark.parametrize(
    ("chosen", "wanted", "same"),
    [
        ({}, {}, True),
        ({"gpus": 1}, {}, True),
        ({}, {"gpus": 1}, False),
        ({"gpus": 1}, {"gpus": 1}, True),
        ({"gpus": ["1"]}, {"gpus": 1}, True),  # as forms have it
        ({"gpus": "12"}, {"gpus": 1}, False),
        ({"system": "A"}, {"system": ["A", "B"]}, True),
        ({"system": "C"}, {"system": ["A", "B"]}, False),
        ({"system": "jureca-1"}, {"system": "jureca-.*"}, True),
        ({"system": "xjureca-1"}, {"system": "jureca-.*"}, False),
        ({"system": "*x"}, {"system": "*x"}, True),  # no regular expression
        ({"system": "a"}, {"system": {"name": "a"}}, False),
        ({"system": {"name": "a", "n": 1}}, {"system": {"name": "a"}}, True),
        ({"system": {"name": "a"}}, {"system": "a"}, False),
        ({"system": ["a", "b"]}, {"system": "a"}, False),
        ({"system": "a" * 2000}, {"system": "a+"}, False),
        ({"on": True}, {"on": True}, True),
    ],
    ids=str,
)
def test_which_options_an_entry_is_for(chosen, wanted, same):
    assert matches(chosen, wanted) is same


@given(
    ANYTHING := st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=6,
        ),
        max_size=3,
    ),
    ANYTHING,
)
def test_no_choice_of_a_user_breaks_the_comparison(chosen, wanted):
    assert matches(chosen, wanted) in (True, False)


@pytest.mark.parametrize(
    ("function", "arity"),
    [
        (lambda authenticator, name, groups, admin, auth_state: None, 5),
        (lambda name, groups, admin, auth_state: None, 4),
        (lambda name, groups, admin: None, 3),
        (lambda *arguments: None, 5),
        (lambda name, groups=(), admin=False: None, 3),
        (lambda name, groups=(), admin=False, auth_state=None: None, 4),
    ],
)
def test_how_many_arguments_it_takes_is_read_once(function, arity):
    assert arity_of(function) == arity
    assert written(credits_user=function).arity == arity


WRONG = [
    ({"credits_user_cap": -1}, "credits_user_cap: got -1; expected a number"),
    ({"credits_user_cap": True}, "credits_user_cap: got True"),
    ({"credits_user_cap": "30"}, "credits_user_cap: got '30'"),
    ({"credits_user_cap": float("inf")}, "credits_user_cap: got inf"),
    ({"credits_user_cap": float("nan")}, "credits_user_cap: got nan"),
    ({"credits_user_cap": 10**400}, "credits_user_cap"),
    ({"credits_user_grant_interval": 0}, "credits_user_grant_interval: got 0"),
    ({"credits_user_grant_interval": 10**12}, "credits_user_grant_interval"),
    ({"credits_user_cap": 10**9, "credits_user_grant_value": 1}, "fill the cap within"),
    ({"credits_user_project": "p"}, "credits_user_project: got 'p'; expected a function"),
    ({"credits_available_projects": 7}, "credits_available_projects: got 7"),
    ({"credits_available_projects": [{}]}, "credits_available_projects[0] has no name"),
    ({"credits_available_projects": [PROJECT, PROJECT]}, "'p' is there twice"),
    ({"credits_available_projects": lambda: 1 / 0}, "ZeroDivisionError"),
    ({"credits_available_projects": [PROJECT | {"balance": 1}]}, "an unknown key"),
    ({"credits_available_projects": [PROJECT | {"name": "a\nb"}]}, "one printable line"),
    ({"credits_user_cap": 1, "credits_user": PROJECT}, "of the first generation"),
    ({"credits_user": 7}, "credits_user: got 7"),
    ({"credits_user": []}, "credits_user: entries: got 0"),
    ({"credits_user": [PROJECT] * 51}, "credits_user: entries: got 51; expected 1 to 50"),
    ({"credits_user": [PROJECT, PROJECT]}, "credits_user[1].name: 'p' is there twice"),
    ({"credits_user": [PROJECT, PROJECT | {"name": "a/b"}]}, "a name without any of / = *"),
    ({"credits_user": [PROJECT, {"name": "q"}]}, "credits_user[1] has no cap"),
    ({"credits_user": PROJECT | {"user_options": "gpu"}}, "a dict of what is chosen"),
    (
        {"credits_user": [one | {"project": PROJECT} for one in (PROJECT, OTHER)]},
        "'p' is that of another entry, too",
    ),
    (
        {"credits_user": [PROJECT, OTHER], "credits_available_projects": [PROJECT]},
        "each in an entry of credits_user",
    ),
    ({"credits_user": OTHER, "credits_user_names": ["q"]}, "credits_user that is a function"),
    ({"credits_user": lambda a, b, c: 0, "credits_user_names": 7}, "got 7; expected a list"),
    (
        {
            "credits_user": lambda a, b, c: 0,
            "credits_user_names": ["a"],
            "credits_available_projects": [PROJECT],
        },
        "does not go with credits_available_projects",
    ),
    ({"credits_user": lambda name: None}, "credits_user(name): wrong arguments"),
    ({"credits_user": lambda a, b, c, d, e, f: None}, "wrong arguments"),
    ({"credits_grant_sync_time": "25:00"}, "credits_grant_sync_time: got '25:00'"),
    (
        {"credits_grant_sync_time": "06:00", "credits_user": OTHER | {"grant_interval": 7 * DAY}},
        "grant_interval: got 604800; expected an interval that a day has a whole number of",
    ),
    ({"credits_task_post_hook": 7}, "credits_task_post_hook: got 7"),
    ({"credits_task_interval": 0}, "credits_task_interval: got 0"),
    ({"credits_task_interval": "x"}, "MixinAuthenticator.credits_task_interval: got 'x'"),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=[str(list(one)) for one, _ in WRONG])
def test_what_is_wrong_stops_the_hub_and_is_named(given, said):
    with pytest.raises(ConfigurationError) as refused:
        written(**given)
    assert said in str(refused.value)
    assert "MixinAuthenticator.credits" in str(refused.value)


# --- as options of ours -----------------------------------------------------------------------


def applied(config, authenticator=MixinAuthenticator, spawner=Billing):
    made = Config(config)
    return apply_credits(authenticator, spawner, made), made


def test_nobody_has_to_configure_anything_else():
    made, config = applied({})
    assert config.UsageConfig.usage_source == "sessions"
    assert config.UsageQuotaManager.credits == made.option
    assert made.option["billed"]
    assert "refresh_interval" not in config.UsageConfig


def test_the_interval_of_its_task_is_that_of_the_refresh():
    _, config = applied({"MixinAuthenticator": {"credits_task_interval": 20}})
    assert config.UsageConfig.refresh_interval == 20


def test_without_its_spawner_servers_cost_what_the_prices_say():
    made, _ = applied({}, spawner=SimpleLocalProcessSpawner)
    assert not made.option["billed"]


@pytest.mark.parametrize(
    "config",
    [
        {"UsageQuotaManager": {"credits": {"user": PROJECT}}},
        {"UsageConfig": {"credit_prices": {"cpu": 1}}},
        {"UsageConfig": {"usage_source": "hub"}},
    ],
    ids=str,
)
def test_what_does_not_go_with_it_is_refused(config):
    with pytest.raises(ConfigurationError):
        applied(config)


def test_a_configuration_without_it_stays_as_it_is():
    for authenticator in (DummyAuthenticator, "dummy", None):
        made, config = applied({}, authenticator)
        assert made is None
        assert config == {}


@given(
    cap=st.floats(0, 1000),
    value=st.floats(0.5, 1e4),
    interval=st.floats(0.01, 86400),
)
def test_short_intervals_give_as_much_in_the_long_run(cap, value, interval):
    made = refilled(cap, value, interval)
    assert made.every.total_seconds() >= 60
    assert made.every.total_seconds() % 1 == 0
    assert made.amount / made.every.total_seconds() == pytest.approx(value / interval)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_nothing_that_is_no_number_becomes_one(value):
    is_number = isinstance(value, float) and 0 <= value <= 1e45
    if not is_number:
        with pytest.raises(InvalidCredits):
            refilled(value, 1, 600)


def test_the_option_can_be_written_by_hand():
    made = parse_credits(
        {"user": {"cap": 9, "grant_value": 3, "grant_interval": 60}, "projects": [PROJECT]}
    )
    assert made is not None
    assert [one["name"] for one in made.entries()] == ["credits", "credits of project p"]


def test_a_command_reads_what_the_authenticator_stands_for(tmp_path):
    """Commands run without a Hub, which would put it into the configuration."""
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(
        "from jupyterhub.auth import DummyAuthenticator\n"
        "from jupyterhub.spawner import SimpleLocalProcessSpawner\n"
        "from jupyterhub_credit_service import CreditsAuthenticator, CreditsSpawner\n"
        "class Ours(DummyAuthenticator, CreditsAuthenticator): pass\n"
        "class Servers(SimpleLocalProcessSpawner, CreditsSpawner): pass\n"
        "c.JupyterHub.authenticator_class = Ours\n"
        "c.JupyterHub.spawner_class = Servers\n"
        "c.Ours.credits_user_cap = 30\n"
        "c.Ours.credits_user_grant_value = 5\n"
    )
    config, _ = load_config(file)
    options = QuotaOptions(config=config)
    (own,) = options.policies
    assert numbers(own) == (30, 5, 600)
    assert options.usage_source == "sessions"


def test_a_command_names_what_the_hub_refuses_of_it(tmp_path):
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(
        "from jupyterhub.auth import DummyAuthenticator\n"
        "from jupyterhub_credit_service import CreditsAuthenticator\n"
        "class Ours(DummyAuthenticator, CreditsAuthenticator): pass\n"
        "c.JupyterHub.authenticator_class = Ours\n"
        "c.UsageQuotaManager.credits = {'user': {'cap': 1}}\n"
    )
    with pytest.raises(ConfigurationError, match=r"UsageQuotaManager\.credits"):
        load_config(file)
