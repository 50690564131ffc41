"""The Hub's exporter of running servers: one server, profile or name never harms the others."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.hub.launch.kept import keep
from jupyterhub_usage_quotas.hub.metrics.servers import ServerExporter
from jupyterhub_usage_quotas.quotas.decide import decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.text import for_log
from tests.support.hub_objects import hub_spawner, hub_user

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
RATES = {"memory": 2.0**30, "cpu": 0.0, "time": 1.0}


def server(name: str = "", profile: str = "", *, decided: bool = True, **more: Any) -> Any:
    stored = SimpleNamespace(started=NOW.replace(tzinfo=None), state=None)
    options = {"active": True, "orm_spawner": stored} | more
    made = hub_spawner(name, **options)
    if decided:
        keep(made, Request(Subject("x"), name, profile, RATES, profile), NOW)
    return made


def scraped(**servers: Any) -> dict[tuple[str, ...], float]:
    """What Prometheus reads, by metric and labels in their order."""
    users = {}
    for number, (name, spawner) in enumerate(servers.items()):
        users[number] = hub_user(name, spawners={spawner.name: spawner})
    return scrape(users)


def scrape(users: dict[int, Any]) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(ServerExporter(lambda: users, "ns"))
    text = generate_latest(registry).decode()
    return {
        (sample.name, *(sample.labels.get(label, "") for label in conventions.SERVER_LABELS[1:])): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name != conventions.EXPORTER_INFO
    }


def requests(found: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {key[1:]: value for key, value in found.items() if key[0] == conventions.SERVER_REQUESTS}


def unknown(found: dict[tuple[str, ...], float]) -> float:
    return next(value for key, value in found.items() if key[0] == conventions.SERVERS_UNKNOWN)


ADA = {
    ("ada", "", "small", "small", "false", "memory"): 2.0**30,
    ("ada", "", "small", "small", "false", "time"): 1.0,
}


def test_what_a_server_was_let_in_on_is_exported():
    found = scraped(ada=server(profile="small"))
    assert requests(found) == ADA
    assert unknown(found) == 0


@pytest.mark.parametrize("pending", ["stop", "check"])
def test_it_counts_until_it_has_stopped(pending):
    assert requests(scraped(ada=server(profile="small", pending=pending))) == ADA


def test_a_server_counts_from_its_launch_on():
    """And not before it was let pass: then it does not run."""
    assert requests(scraped(ada=server(profile="small", pending="spawn"))) == ADA
    assert requests(scraped(ada=server(decided=False, pending="spawn"))) == {}


def test_of_a_server_that_nothing_is_known_of_it_is_only_said_that_it_runs():
    found = scraped(ada=server(profile="small"), bob=server(decided=False))
    assert requests(found) == ADA | {("bob", "", "", "", "", "time"): 1.0}
    assert unknown(found) == 1


@pytest.mark.parametrize("name", ["x\ud800", "\udfff"])
def test_a_name_that_cannot_be_exported_harms_no_other(name):
    found = scraped(ada=server(profile="small"), bob=server(name))
    assert requests(found) == ADA
    assert unknown(found) == 1
    users = {0: hub_user("ada", spawners={"": server(profile="small")})}
    users[1] = hub_user(name, spawners={"": server()})
    assert requests(scrape(users)) == ADA


@pytest.mark.parametrize("length", [254, 60_000])
def test_names_of_any_length_are_bounded_and_stay_apart(length):
    users = {0: hub_user("ada", spawners={one: server(one) for one in ("x" * length, "short")})}
    same_beginning = ["y" * length, "y" * length + "z"]
    users[1] = hub_user("bob", spawners={one: server(one) for one in same_beginning})
    names = {key[:2] for key in requests(scrape(users))}
    assert len(names) == 4
    assert max(len(name) for _, name in names) <= 253
    assert ("ada", "short") in names
    # What the decision selects by is the same.
    assert ("ada", Request(Subject("ada"), "x" * length).server.name) in names


def test_a_line_of_the_log_has_a_bounded_name():
    policies = parse_policies(
        [{"resource": "time", "limit": 0, "window": 7, "scope": {"everyone": True}}]
    )
    request = Request(Subject("ada"), "x\n" * 30_000)
    line = for_log(decide(policies, {}, request, NOW))
    assert len(line) < 800
    assert line.isprintable()


def test_a_spawner_that_fails_harms_no_other(caplog):
    class Broken(SimpleNamespace):
        @property
        def orm_spawner(self) -> Any:
            raise RuntimeError("detached")

    broken = Broken(
        **{key: one for key, one in vars(server(decided=False)).items() if key != "orm_spawner"}
    )
    found = scraped(ada=server(profile="small"), bob=broken)
    assert requests(found) == ADA
    assert unknown(found) == 1
    (line,) = {record.getMessage() for record in caplog.records}
    assert line.startswith("What the default server of 'bob' requests cannot be exported; correct")


@pytest.mark.parametrize("profile", ["x\ud800", "x" * 5_000_000, "a\nb", "\u200b", '"}\\'])
def test_what_a_launch_was_called_is_bounded_and_valid(profile):
    found = requests(scraped(ada=server(profile=profile)))
    assert len(found) == 2
    for labels in found:
        assert all(len(one) <= 253 for one in labels)
        assert all(one.isprintable() for one in labels)


@pytest.mark.parametrize(
    ("rates", "unknown", "gpu"),
    [
        ({"gpu": 1.0}, set(), "true"),
        ({"gpu": 1.0}, {"gpu"}, "true"),  # it has one at least
        ({}, set(), "false"),
        ({"gpu": 0.0}, {"memory"}, "false"),
        ({}, {"gpu"}, ""),
    ],
)
def test_a_server_of_which_it_is_not_known_if_it_has_a_gpu_is_neither(rates, unknown, gpu):
    """Also when its Hub has been restarted, and knows only what was stored of it."""
    made = server(decided=False)
    keep(made, Request(Subject("x"), rates=RATES | rates, unknown=frozenset(unknown)), NOW)
    stored = SimpleNamespace(started=NOW.replace(tzinfo=None), state=made.get_state())
    for one in (made, server(decided=False, orm_spawner=stored)):
        assert {labels[4] for labels in requests(scraped(ada=one))} == {gpu}
