"""Real Hubs with a real KubeSpawner in one cluster: usage as kube-state-metrics exports it.

Four Hubs run at once, with the same usernames: one of each JupyterHub, with each of KubeSpawner's
slug schemes, of which one finds no annotations and knows pods by name; one with a namespace for
every user; and one with KubeSpawner 6. Their whole day takes three minutes.
"""

from __future__ import annotations

import pytest

from tests.support.kubernetes.day import Day, spend_the_day
from tests.support.kubernetes.deployments import HUBS, PROFILE_NAMES, SERVERS, Deployment, Server
from tests.support.kubernetes.truth import MINUTE, SLACK

pytestmark = pytest.mark.waits
HOUR = 3600
GIB = 1024**3
ALMOST = 1 - 1e-12
"""What numbers lose that are written and read."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return spend_the_day(tmp_path_factory.mktemp("kubernetes"))


@pytest.fixture(params=HUBS, ids=lambda hub: hub.namespace)
def hub(request: pytest.FixtureRequest) -> Deployment:
    return request.param


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_a_pod_is_called_and_annotated_as_kubespawner_does(day: Day, hub: Deployment, server):
    namespace, name = hub.pod(server)
    annotated = day.annotations[namespace, name]
    assert annotated["annotation_hub_jupyter_org_username"] == server.user
    assert annotated.get("annotation_hub_jupyter_org_servername", "") == server.name


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_the_profile_arrives_in_kube_state_metrics(day: Day, hub: Deployment, server: Server):
    annotated = day.annotations[hub.pod(server)]
    assert annotated["annotation_hub_jupyter_org_profile"] == server.marked
    assert annotated["annotation_hub_jupyter_org_profile_name"] == PROFILE_NAMES[server.profile]
    assert ("nvidia_com_gpu" in day.requested[hub.pod(server)]) == (server.profile == "gpu-large")


@pytest.mark.parametrize("user", sorted({server.user for server in SERVERS}))
@pytest.mark.parametrize("resource", ["memory", "cpu", "time", "gpu"])
def test_usage_accrues_to_the_right_user(day: Day, hub: Deployment, user: str, resource: str):
    """What each user's own pods requested at the whole minutes at which they ran; of others'
    pods, with names that are alike, and of other Hubs' users of the same name, nothing.
    """
    least, most = day.true_usage(hub, lambda server: server.user == user, resource)
    used = day.used(hub, user, resource) * HOUR
    assert least * ALMOST <= used <= most / ALMOST
    if resource in ("memory", "time") and user != "waiting":
        assert used > 0


@pytest.mark.parametrize(
    ("policy", "counted"),
    [
        ("gpu profile", lambda server: server.profile == "gpu-large"),
        ("cheap ones", lambda server: server.profile == "small"),
        ("chosen large", lambda server: server.memory == "large"),
        ("chosen any", lambda server: server.profile == "sized"),
        ("called x", lambda server: server.name == "x"),
        ("has a gpu", lambda server: server.profile == "gpu-large"),
    ],
)
@pytest.mark.parametrize("user", ["alice", "alice--x", "alice.b@uni.edu"])
def test_selectors_count_what_they_select(day: Day, hub: Deployment, policy, counted, user):
    if hub.by_name and policy not in ("called x", "has a gpu"):
        return  # no name says which profile: such a policy stops the Hub
    least, most = day.true_usage(
        hub, lambda server: server.user == user and counted(server), "time"
    )
    assert least * ALMOST <= day.used(hub, user, policy) * HOUR <= most / ALMOST
    assert (most > 0) == any(counted(server) for server in SERVERS if server.user == user)


def test_the_same_pod_went_on_after_its_container_was_restarted(day: Day, hub: Deployment):
    crashed = Server("crash")
    assert day.restarts[hub.pod(crashed)] == 1
    assert len(day.record.known(hub.pod(crashed))) == 1


def test_a_pod_that_nobody_schedules_uses_nothing(day: Day, hub: Deployment):
    waiting = Server("waiting")
    assert day.requested[hub.pod(waiting)]["memory"] == hub.gib * GIB
    assert day.record.minutes(hub.pod(waiting)) == (0, 0)
    assert day.used(hub, "waiting", "time") == 0


def test_the_hub_was_restarted_while_servers_ran(day: Day, hub: Deployment):
    """And found them again: they were neither stopped nor started anew."""
    for server in SERVERS:
        if server.user not in ("waiting", "lina"):
            assert day.ready_after_restart[hub.namespace][server]
            assert len(day.record.known(hub.pod(server))) == 1


def test_the_denial_comes(day: Day, hub: Deployment):
    denied = day.denied[hub.namespace]["lina"]
    assert denied.status == 429
    assert "used up your memory quota" in denied.message


def test_a_second_server_is_denied_while_the_first_runs(day: Day, hub: Deployment):
    assert day.denied[hub.namespace]["dora"].status == 429


def test_the_retry_time_is_true(day: Day, hub: Deployment):
    """By hand: in 150 seconds 31 seconds' worth may be used, and whole minutes were, up to the last
    sample; so it fits again once more than 119 seconds since that end have passed: said as the
    whole minute after.
    """
    lina = day.denied[hub.namespace]["lina"]
    [(_, stopped)] = day.record.known(hub.pod(Server("lina")))[:1]
    # Just after a whole minute its sample may be of before, or not.
    sampled = {stopped // MINUTE * MINUTE, (stopped - SLACK) // MINUTE * MINUTE}
    expected = [pytest.approx(one + 2 * MINUTE, abs=SLACK) for one in sampled]
    assert lina.retry_at in expected, (stopped, day.record.scrapes)
    assert day.too_early[hub.namespace]
    assert {answer.status for answer in day.too_early[hub.namespace]} == {429}
    in_time = day.in_time[hub.namespace]
    assert in_time.status in (201, 202), in_time.message


def test_an_admin_is_told_the_same_by_check(day: Day, hub: Deployment):
    least, most = day.true_usage(hub, lambda server: server.user == "alice", "memory")
    assert least * ALMOST <= day.checked[hub.namespace] * GIB * HOUR <= most / ALMOST


@pytest.mark.parametrize("user", sorted({server.user for server in SERVERS}))
def test_the_dashboard_shows_what_the_hub_counts(day: Day, hub: Deployment, user: str):
    """To the user and to an admin, by whichever way it is known whose pods are. The policy whose
    window is so short that it moves meanwhile is left out.
    """
    counted = {
        policy: used / (GIB if policy == "memory" else 1)
        for (name, policy), used in day.used_when_shown[hub.namespace].items()
        if name == user and policy != "tight"
    }
    assert {"memory", "cpu", "gpu", "time", "called x"} <= counted.keys()
    for shown in (day.shown_to_users, day.shown_to_admins):
        of_user = {
            policy: used
            for (name, policy), used in shown[hub.namespace].items()
            if name == user and policy != "tight"
        }
        assert of_user == pytest.approx(counted, rel=1e-6)


def test_pods_that_are_nobodys_are_reported_where_names_say_whose_they_are(day: Day, hub):
    warned = f"{hub.namespace}/jupyter-al--not-annotated" in day.logs[hub.namespace]
    assert (warned, day.nobodys[hub.namespace]) == (hub.by_name, float(hub.by_name))
