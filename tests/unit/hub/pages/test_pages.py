"""What the Hub's pages show: the words, what they cost, and that they never hurt a page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import respx
import sqlalchemy
from jupyterhub import orm
from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub.user import User
from kubespawner import KubeSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.hub.launch.request import Offer, offers_of, read_launch
from jupyterhub_usage_quotas.hub.pages.pages import HubPages, UserPages
from jupyterhub_usage_quotas.hub.pages.templates_overlay import TEMPLATES, add_layer
from jupyterhub_usage_quotas.hub.pages.text import banner, could_run
from jupyterhub_usage_quotas.hub.refresh import make_refresh_loop
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.quotas.adjustments import Adjustments
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.chip import chip, instant
from jupyterhub_usage_quotas.status.inputs import DecisionInputs
from jupyterhub_usage_quotas.status.language import ENGLISH
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from jupyterhub_usage_quotas.status.users import UserStatus, UserStatuses, forecast
from tests.support.fake_prometheus import URL, alive
from tests.support.hub_objects import hub_spawner, hub_user
from tests.support.standing import rows_of

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GIB = 1024**3
HOUR = 3600
LOG = logging.getLogger("test_hub_pages")


def rule(resource: str, limit: str, **more: Any) -> dict[str, Any]:
    scope = {"everyone": True}
    return {
        "name": resource,
        "resource": resource,
        "limit": limit,
        "window": 7,
        "scope": scope,
    } | more


def spent(amount: float, *, hours_ago: float = 30) -> Fresh:
    """So much was used, in the hour that began so long ago."""
    start = NOW.timestamp() - hours_ago * HOUR
    buckets = (Bucket(start, start + HOUR, amount),) if amount else ()
    return Fresh(Usage(buckets, NOW))


def status(*rules: dict[str, Any], failover_open: bool = False, **readings: Any) -> UserStatus:
    policies = parse_policies(list(rules), failover_open=failover_open, credit_prices={"cpu": 1})
    inputs = DecisionInputs(Subject("ada"), policies, readings, {}, (), NOW)
    return UserStatus(inputs, inputs.decide(Request(Subject("ada"))))


def unenforced(*rules: dict[str, Any], **readings: Any) -> UserStatus:
    return replace(status(*rules, **readings), enforced=False)


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "used", "said"),
    [
        (("gpu", "8 GPU-hours"), 5 * HOUR, "GPU 3 h left"),
        (("cpu", "10 CPU-hours"), 2.5 * HOUR, "CPU 7.5 h left"),
        (("memory", "100 GiB-hours"), 69 * GIB * HOUR, "Memory 31 GiB-hours left"),
        (("time", "20 hours"), 1.5 * HOUR, "Server time 18h 30m left"),
    ],
)
def test_the_chip_says_what_is_left_without_saying_anything_twice(limit, used, said):
    made = chip(status(rule(*limit), **{limit[0]: spent(used)}))
    assert (made.text, made.until) == (said, None)


def test_credits_are_not_called_credits_twice():
    made = chip(status(rule("credits", "20 credits"), cpu=spent(5 * HOUR)))
    assert made.text == "15 credits left"


def test_used_up_until_when():
    made = chip(status(rule("gpu", "8 GPU-hours", window="36h"), gpu=spent(8 * HOUR)))
    assert (made.severity, made.text) == ("exhausted", "GPU used up until")
    # Used evenly from 30 to 29 hours ago: the first of it leaves the 36 hours in six.
    assert made.until.iso == "2026-03-04T18:01:00Z"
    assert made.until.text == "Wed 18:01 UTC"
    assert made.details == "GPU: 8 of 8 GPU-hours used in the last 36 hours (gpu)."


def test_an_instant_further_away_has_its_date():
    assert instant(NOW + timedelta(days=8), NOW).text == "12 Mar 12:00 UTC"


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Unknown("timeout", "Prometheus at http://secret"), "Usage is not known at the moment."),
        (Unknown("not_read_yet", ""), "Usage is still being calculated."),
        (Stale(Usage((), NOW - timedelta(hours=1)), "stale", ""), "Usage data is out of date."),
    ],
)
def test_what_is_not_known_is_said_to_be_unknown(reading, said):
    made = chip(status(rule("gpu", "8 GPU-hours"), gpu=reading))
    assert (made.severity, made.text) == ("unknown", "Usage unknown")
    assert made.details.startswith(said)
    assert "secret" not in made.details
    (row,) = banner(status(rule("gpu", "8 GPU-hours"), gpu=reading), []).policies
    assert (row.remaining, row.total) == ("not known", "8 GPU-hours")


MUCH, LITTLE = spent(90 * HOUR), spent(1 * HOUR)


@pytest.mark.parametrize(
    ("rules", "readings", "tightest"),
    [
        # Of what is left, that of which most is used.
        ([("cpu", "100 CPU-hours"), ("gpu", "2 GPU-hours")], {"cpu": MUCH, "gpu": LITTLE}, "CPU"),
        # What is not known comes before that, what is used up before all.
        ([("cpu", "100 CPU-hours"), ("gpu", "2 GPU-hours")], {"cpu": MUCH}, "Usage unknown"),
        ([("cpu", "9 CPU-hours"), ("gpu", "2 GPU-hours")], {"cpu": MUCH}, "CPU used up"),
        # What nobody may use at all says little.
        ([("gpu", "0 GPU-hours"), ("cpu", "100 CPU-hours")], {"cpu": LITTLE}, "CPU 99 h left"),
        ([("gpu", "0 GPU-hours")], {"gpu": LITTLE}, "GPU quota is zero"),
    ],
)
def test_the_tightest_is_shown(rules, readings, tightest):
    made = chip(status(*[rule(*one) for one in rules], **readings))
    assert made.text.startswith(tightest)


def test_of_two_that_are_used_up_the_one_that_lasts_longer():
    rules = [rule("cpu", "9 CPU-hours", window="36h"), rule("gpu", "1 GPU-hours", window="72h")]
    made = chip(status(*rules, cpu=MUCH, gpu=MUCH))
    assert made.text == "GPU used up until"


def test_nothing_is_said_to_whom_no_policy_limits():
    nobody = status(rule("cpu", "1 CPU-hours", exempt={"user": ["ada"]}), cpu=MUCH)
    assert chip(nobody) is None
    assert banner(nobody, []) is None


NOT_ENFORCED = "Quotas are not enforced at the moment."
RULES = [rule("cpu", "100 CPU-hours"), rule("gpu", "2 GPU-hours")]


def test_where_quotas_are_not_enforced_nothing_stands_in_the_way():
    over = unenforced(rule("cpu", "9 CPU-hours"), cpu=MUCH)
    made, all_of_it = chip(over), banner(over, [])
    assert (made.severity, made.text, made.until) == ("low", "CPU used up, not enforced", None)
    assert made.details.endswith(f"(cpu). {NOT_ENFORCED}")
    assert (all_of_it.notice, all_of_it.policies[0].until) == (NOT_ENFORCED, None)
    assert all_of_it.policies[0].label == "Used up, servers may start"


@pytest.mark.parametrize(
    ("readings", "text", "severity"),
    [
        ({"cpu": LITTLE, "gpu": spent(0)}, "CPU 99 h left", "ok"),
        ({"cpu": MUCH, "gpu": spent(0)}, "CPU 10 h left", "low"),
        ({"cpu": MUCH}, "Usage unknown", "unknown"),
    ],
)
def test_where_quotas_are_not_enforced_the_rest_is_as_ever(readings, text, severity):
    found = unenforced(*RULES, **readings)
    made, enforced = chip(found), chip(replace(found, enforced=True))
    assert (made.text, made.severity, enforced.text) == (text, severity, text)
    said = banner(found, []).notice
    assert said.startswith(NOT_ENFORCED)
    assert NOT_ENFORCED in made.details
    assert "not started" not in f"{said} {made.details}"
    assert ("servers may start" in said) == (text == "Usage unknown")
    assert NOT_ENFORCED not in banner(replace(found, enforced=True), []).notice


def test_a_policy_that_only_warns_denies_nothing():
    warned = status(rule("cpu", "9 CPU-hours", when_exhausted="warn"), cpu=MUCH)
    made = chip(warned)
    assert (made.text, made.until) == ("CPU used up", None)
    assert made.details.endswith("Servers may start anyway.")
    assert banner(warned, []).policies[0].label == "Used up, servers may start"


# --- profiles -----------------------------------------------------------------------------------


def lasting(rate: float, *, open_: bool = False, **readings: Any) -> str:
    rules = [rule("cpu", "10 CPU-hours", window="36h", minimum_session="1h")]
    inputs = status(*rules, failover_open=open_, **readings).inputs
    return could_run(forecast(inputs, Request(Subject("ada"), rates={"cpu": rate})))


def test_one_time_for_one_thing_on_the_launch_page():
    """With half an hour that must be left, servers start later than one that only runs would."""
    gpu = rule("gpu", "8 GPU-hours", window="36h", minimum_session="30m")
    over = status(gpu, gpu=spent(8 * HOUR))
    server = Request(Subject("ada"), profile="gpu", profile_name="GPU", rates={"gpu": 1.0})
    made = banner(over, [Offer(server)])
    (row,), (profile,) = made.policies, made.profiles
    assert profile.denied
    assert row.until == profile.until == chip(over, made.starts).until
    assert chip(over).until.iso < profile.until.iso


def test_of_several_servers_the_first_that_can_start_is_named():
    over = status(
        rule("cpu", "8 CPU-hours", window="36h", minimum_session="1h"), cpu=spent(9 * HOUR)
    )
    offers = [Offer(Request(Subject("ada"), profile=str(n), rates={"cpu": n})) for n in (4.0, 1.0)]
    made = banner(over, offers)
    large, small = (one.until for one in made.profiles)
    assert small.iso < large.iso
    assert made.policies[0].until == small


def test_how_long_a_profile_could_run():
    assert lasting(2, cpu=spent(0)) == "5h"
    assert lasting(0, cpu=spent(0)) == "over a month"
    assert lasting(11, cpu=spent(0)) == "Not within your quotas"
    assert lasting(2, cpu=spent(9 * HOUR)) == "Not before"
    assert lasting(2) == "Not before usage is known"
    assert lasting(2, open_=True) == "not known"
    assert lasting(2, cpu=Unknown("not_read_yet", "")) == "not known"


@pytest.mark.parametrize("open_", [True, False])
def test_of_a_request_that_cannot_be_read_no_time_is_named(open_: bool):
    """Waiting for usage would not help."""
    rules = [rule("cpu", "10 CPU-hours", window="36h", minimum_session="1h")]
    inputs = status(*rules, failover_open=open_, cpu=spent(0)).inputs
    request = Request(Subject("ada"), rates={"cpu": 2.0}, unknown=frozenset({"cpu"}))
    assert could_run(forecast(inputs, request)) == "not known"


async def test_what_runs_already_draws_on_the_same():
    inputs = status(rule("cpu", "10 CPU-hours"), cpu=spent(0)).inputs
    two = Request(Subject("ada"), rates={"cpu": 2.0})
    assert inputs.lasts(two) == timedelta(hours=5)
    beside = replace(inputs, running=[Request(Subject("ada"), rates={"cpu": 3})])
    assert beside.lasts(two) == timedelta(hours=2)


PROFILES = [
    {"display_name": "Small"},
    {"display_name": "Large", "slug": "large", "kubespawner_override": {"mem_guarantee": "8G"}},
    {"display_name": "Large", "slug": "twin", "kubespawner_override": {"mem_guarantee": "9G"}},
]


async def test_looking_at_the_profiles_changes_nothing_of_the_spawner():
    made = KubeSpawner(_mock=True, profile_list=PROFILES, mem_guarantee="1G")
    made.user_options = {"profile": "large"}
    user = hub_user("ada")

    async def offered() -> list[tuple[str, float]]:
        offers = await offers_of(user, made, RESOURCES)
        return [(one.request.profile, one.request.rates["memory"]) for one in offers]

    expected = [("small", GIB), ("large", 8 * GIB), ("twin", 9 * GIB)]
    assert await offered() == expected
    assert made.mem_guarantee == GIB
    await read_launch(user, made, RESOURCES)
    assert made.mem_guarantee == GIB
    # Its start applies the chosen profile to it; what is on offer stays the same.
    await made.load_user_options()
    assert made.mem_guarantee == 8 * GIB
    assert await offered() == expected


# --- what a page costs --------------------------------------------------------------------------


class Database:
    """A Hub's database with many users, in groups, and how often it was asked."""

    def __init__(self, users: int) -> None:
        self.db = orm.new_session_factory("sqlite:///:memory:")()
        team = orm.Group(name="team")
        self.db.add_all([team, *(orm.User(name=f"u{n}", groups=[team]) for n in range(users))])
        self.db.commit()
        self.db.expire_all()
        self.statements = 0
        sqlalchemy.event.listen(self.db.get_bind(), "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        self.statements += 1

    def user(self, name: str) -> User:
        found = self.db.query(orm.User).filter_by(name=name).one()
        settings = {"spawner_class": SimpleLocalProcessSpawner}
        return User(found, settings, db=self.db)


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database(300)
    yield made
    made.db.close()


POOLED = [
    rule("cpu", "10 CPU-hours"),
    rule("memory", "20 GiB-hours", name="pool", share="pooled", scope={"group": ["team"]}),
    rule("gpu", "2 GPU-hours", name="first", share="pooled", overflow="individual"),
    rule("gpu", "1 GPU-hours", name="then"),
]


def manager() -> UsageQuotaManager:
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "ns"
    config.UsageConfig.home_storage = False
    config.UsageQuotaManager.policy = POOLED
    return UsageQuotaManager(config=config)


def pages_of(
    made: UsageQuotaManager, snapshot: StatusSnapshot | None = None, ledger: Any = NO_LEDGER
) -> HubPages:
    pools = None if snapshot is None else (lambda: snapshot.pools)
    statuses = UserStatuses(made.policies, made.meter, ledger, pools=pools)
    return HubPages(statuses, made, made.pending, "usage-quota", LOG)


async def look(pages: HubPages, user: Any, spawner: Any) -> tuple[Any, Any, Any]:
    seen = pages.of(user)
    launch = await seen.launch(user, f"/hub/spawn/{user.name}", set())
    return await seen.header(), await seen.home(spawner), launch


async def test_a_page_asks_nobody_and_reads_little_of_the_database(database: Database):
    made = manager()
    app = SimpleNamespace(db=database.db, log=LOG)
    snapshot = StatusSnapshot(made.policies, made.meter, NO_LEDGER)
    loop = make_refresh_loop(app, made, made.meter, snapshot)
    user = database.user("u7")
    spawner = hub_spawner(
        profile_list=[
            {"display_name": "Small"},
            {"display_name": "Large", "kubespawner_override": {"mem_guarantee": 8 * GIB}},
        ],
        mem_guarantee=GIB,
    )
    user.spawners = {"": spawner}
    with respx.mock(base_url=URL) as router:
        router.route(method="POST").side_effect = alive
        await made.meter.refresh(made.policies.reach)
        while await made.meter.extend():
            pass
        await loop.call_listeners()
        asked = router.calls.call_count
        assert asked
        for name in ("u7", "u8"):
            user = database.user(name)
            user.spawners = {"": spawner}
            database.statements = 0
            header, home, launch = await look(pages_of(made, snapshot), user, spawner)
            assert database.statements <= 3
        assert router.calls.call_count == asked
    await made.aclose()
    assert header.text == "CPU 10 h left"
    assert [row.remaining for row in home.policies] == [
        *("10 CPU-hours", "20 GiB-hours", "2 GPU-hours", "1 GPU-hour")
    ]
    assert [row.text for row in launch.profiles] == ["20h", "2h 30m"]


async def test_what_cannot_be_read_of_a_server_is_said_before_it_is_started(database: Database):
    """On the home page, and on the one with the profiles: of the others a time is named."""
    made = manager()
    odd = {"extra_resource_limits": {"nvidia.com/gpu": "some"}}
    profiles = [
        {"display_name": "Odd", "kubespawner_override": odd},
        {"display_name": "Large", "kubespawner_override": {"mem_guarantee": 8 * GIB}},
    ]
    app = SimpleNamespace(db=database.db, log=LOG)
    snapshot = StatusSnapshot(made.policies, made.meter, NO_LEDGER)
    loop = make_refresh_loop(app, made, made.meter, snapshot)
    user = database.user("u7")
    user.spawners = {"": KubeSpawner(_mock=True, profile_list=profiles)}
    with respx.mock(base_url=URL) as router:
        router.route(method="POST").side_effect = alive
        await made.meter.refresh(made.policies.reach)
        while await made.meter.extend():
            pass
        await loop.call_listeners()
        _, home, launch = await look(pages_of(made, snapshot), user, hub_spawner(**odd))
    await made.aclose()
    assert [row.text for row in home.profiles] == ["not known"]
    assert [row.text for row in launch.profiles] == ["not known", "2h 30m"]


async def test_before_the_history_is_read_nothing_is_asked_either(database: Database):
    made = manager()
    user = database.user("u7")
    with respx.mock(base_url=URL) as router:
        chip_, home, _ = await look(pages_of(made), user, hub_spawner(active=True))
        assert not router.calls
    assert chip_.text == "Usage unknown"
    assert home.notice == "Usage is still being calculated. Check again in a few minutes."


async def test_without_gauges_pools_are_added_up_all_the_same(database: Database):
    made = manager()
    made.export_usage = False
    snapshot = StatusSnapshot(made.policies, made.meter, NO_LEDGER)
    before = snapshot.pools
    app = SimpleNamespace(db=database.db, log=LOG)
    await make_refresh_loop(app, made, made.meter, snapshot).call_listeners()
    assert rows_of(snapshot) == ()
    assert snapshot.pools is not before
    assert set(snapshot.pools.pools) == {"pool", "first"}
    assert "u299" in snapshot.pools.pools["pool"]


# --- it never hurts a page ----------------------------------------------------------------------


class BrokenLedger:
    """Fails, as databases do."""

    async def active(self, subjects: Any, at: datetime) -> Any:
        raise OSError("the database is locked")


class SlowLedger:
    """Has to be waited for."""

    async def active(self, subjects: Any, at: datetime) -> Any:
        await asyncio.sleep(0)
        return Adjustments()


async def test_a_failure_is_logged_once_and_shows_nothing(database: Database, caplog):
    pages = pages_of(manager(), ledger=BrokenLedger())
    for _ in range(3):
        assert await look(pages, database.user("u7"), None) == (None, None, None)
    logged = [one for one in caplog.records if one.name == LOG.name]
    assert [one.getMessage() for one in logged] == [
        "Showing usage quotas on a page of the Hub failed; it is shown without them"
    ]
    assert "the database is locked" in str(logged[0].exc_info)


async def test_where_nothing_can_be_awaited_only_what_is_at_hand_is_shown(database: Database):
    seen = pages_of(manager()).of(database.user("u7"))
    assert UserPages.settled(seen.header()).text == "Usage unknown"
    slow = pages_of(manager(), ledger=SlowLedger()).of(database.user("u7"))
    assert UserPages.settled(slow.header()) is None
    assert (await slow.header()).text == "Usage unknown"
    assert UserPages.settled("what was awaited already") == "what was awaited already"


def test_who_is_not_a_user_sees_nothing():
    pages = pages_of(manager())
    assert pages.of(None) is None
    assert pages.of(orm.Service(name="robot")) is None


@pytest.mark.parametrize(
    ("admin", "scopes", "sees"),
    [
        (False, set(), False),
        (False, {"custom:usage-quotas:read!user=u7"}, False),
        (False, {"custom:usage-quotas:read!user=u8"}, True),
        (False, {"custom:usage-quotas:read!group=team"}, True),
        (False, {"custom:usage-quotas:read"}, True),
        (True, set(), True),
    ],
)
async def test_somebody_elses_quotas_need_the_scope(database: Database, admin, scopes, sees):
    user, other = database.user("u7"), database.user("u8")
    user.orm_user.admin = admin
    other.spawners = {"": hub_spawner(profile_list=[])}
    made = await pages_of(manager()).of(user).launch(other, "/hub/spawn/u8", scopes)
    assert (made is not None) is sees


async def test_each_can_be_left_out(database: Database):
    made = manager()
    made.show_in_header = made.show_at_launch = False
    assert await look(pages_of(made), database.user("u7"), None) == (None, None, None)


# --- templates between the Hub's and the admin's --------------------------------------------------


@pytest.fixture
def layered(tmp_path):
    """The environment that a Hub makes of an admin's templates and ours."""
    hubs = tmp_path / "hub"
    hubs.mkdir()
    (hubs / "page.html").write_text(
        "<{% block header %}{% endblock %}|{% block main %}{% endblock %}>"
    )
    for name in ("home.html", "spawn.html"):
        (hubs / name).write_text(
            '{% extends "page.html" %}{% block main %}hub'
            "{% block heading %}{% endblock %}{% endblock %}"
        )
    own = tmp_path / "own"
    own.mkdir()
    app = SimpleNamespace(
        _template_paths_default=lambda: [str(hubs)],
        template_paths=[str(own), str(hubs)],
        jinja_environment_options={},
        tornado_settings={},
    )
    add_layer(app)
    assert app.template_paths == [str(own), TEMPLATES, str(hubs)]
    # As JupyterHub.init_tornado_settings does it.
    loader = jinja2.ChoiceLoader(
        [
            jinja2.PrefixLoader({"templates": jinja2.FileSystemLoader([str(hubs)])}, "/"),
            jinja2.FileSystemLoader(app.template_paths),
        ]
    )
    options = {"autoescape": True} | app.jinja_environment_options
    return own, jinja2.Environment(loader=loader, **options)


def rendered(environment: jinja2.Environment, name: str) -> str:
    shown = SimpleNamespace(
        settled=lambda value: value,
        header=lambda: SimpleNamespace(severity="ok", text="LEFT", until=None, details="<d>"),
        credits=lambda: None,
        home=lambda _: None,
        server_notices=lambda: (),
        viewer="",
        language="en-GB",
        gettext=ENGLISH.in_templates["_"],
    )
    static = lambda path: path  # noqa: E731 as the Hub passes it
    html = environment.get_template(name).render(usage_quota=shown, static_url=static)
    return " ".join(html.split())


def test_without_templates_of_the_admin_ours_extend_the_hubs(layered):
    _, environment = layered
    html = rendered(environment, "home.html")
    assert "LEFT" in html
    assert "hub" in html
    assert 'title="&lt;d&gt;"' in html


def test_an_admins_page_extends_ours(layered):
    own, environment = layered
    (own / "page.html").write_text(
        '{% extends "templates/page.html" %}{% block header %}OWN {{ super() }}{% endblock %}'
    )
    html = rendered(environment, "home.html")
    assert html.index("OWN") < html.index("LEFT") < html.index("hub")


def test_an_admins_page_that_extends_nothing_is_left_alone_and_can_include_ours(layered):
    own, environment = layered
    (own / "page.html").write_text("[{% block main %}{% endblock %}]")
    assert rendered(environment, "home.html") == "[ hub ]"
    (own / "page.html").write_text(
        '[{% include "usage-quota-header.html" %}{% block main %}{% endblock %}]'
    )
    environment.cache.clear()
    assert "LEFT" in rendered(environment, "home.html")


def test_without_anything_to_show_the_hubs_page_is_as_it_was(layered):
    _, environment = layered
    html = environment.get_template("home.html").render(usage_quota=None)
    assert "".join(html.split()) == "<|hub>"


def test_a_server_that_can_be_started_has_its_price_where_that_is_known():
    readings = {"gpu": spent(HOUR), "cpu": spent(0)}
    limited = status(rule("gpu", "8 GPU-hours"), **readings)
    server = Request(Subject("ada"), profile="p", rates={"cpu": 2.0, "gpu": 0.0, "time": 1.0})
    offers = [Offer(server), Offer(replace(server, unknown=frozenset({"cpu"})))]
    # Credits limit nobody, and so say nothing.
    assert [row.cost for row in banner(limited, offers).profiles] == ["", ""]
    prices = {**limited.inputs.policies.prices, "cost": {"cpu": 0.04 / HOUR}}
    policies = replace(limited.inputs.policies, prices=prices)
    priced = replace(limited, inputs=replace(limited.inputs, policies=policies))
    assert [row.cost for row in banner(priced, offers).profiles] == ["0.08 USD per hour", ""]
