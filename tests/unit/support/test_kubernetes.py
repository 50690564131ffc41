"""The tests' own Kubernetes: that it is like the real one where tests rely on it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.support.kubernetes.admission import admit, quantity
from tests.support.kubernetes.cluster import Cluster, running_cluster
from tests.support.kubernetes.day import wait_until
from tests.support.kubernetes.state_metrics import exposition, go_float
from tests.support.kubernetes.store import Refused, Store, Wanted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("1G", "1000000000"),
        ("1Gi", "1073741824"),
        ("1.5Ki", "1536"),
        ("1e3", "1000"),
        ("2E", "2000000000000000000"),
        (".5", "0.5"),
        ("7", "7"),
        ("100n", "0.0000001"),
    ],
)
def test_quantities(text, value):
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1GB", "1 Gi", "G", "1.2.3", "0x1", "1mi", "--1"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(Refused):
        quantity(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.25, "0.25"),
        (1073741824.0, "1.073741824e+09"),
        (100000.0, "100000"),
        (1000000.0, "1e+06"),
        (0.00001, "1e-05"),
    ],
)
def test_numbers_are_written_as_go_writes_them(value, text):
    assert go_float(value) == text


def pod(**more) -> dict:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", **more}]}}


def test_a_limit_is_a_request_too():
    limits = {"limits": {"memory": "1Gi", "cpu": "2"}, "requests": {"cpu": "1"}}
    [container] = admit("pods", pod(resources=limits))["spec"]["containers"]
    assert container["resources"]["requests"] == {"memory": "1Gi", "cpu": "1"}


@pytest.mark.parametrize(
    "given",
    [
        pod(resources={"requests": {"nvidia.com/gpu": "1"}}),
        pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        pod(resources={"requests": {"gpu": "1"}, "limits": {"gpu": "1"}}),
        {"metadata": {"name": "p_q"}, "spec": {"containers": [{"name": "c"}]}},
        {
            "metadata": {"name": "p", "labels": {"a": "x@y"}},
            "spec": {"containers": [{"name": "c"}]},
        },
        {"metadata": {"name": "p"}, "spec": {"containers": []}},
    ],
)
def test_what_kubernetes_refuses_is_refused(given):
    with pytest.raises(Refused) as refused:
        admit("pods", given)
    assert refused.value.status["reason"] == "Invalid"
    assert refused.value.code == 422


def test_annotations_become_labels_as_in_kube_state_metrics():
    store = Store()
    given = pod() | {
        "metadata": {
            "name": "p",
            "annotations": {"a.b/camelCase": 'x"\\\n', "a-b": "1", "a.b": "2", "other": "3"},
        }
    }
    one = store.create("pods", "ns", admit("pods", given))
    text = exposition([one], ["a.b/camelCase", "a-b", "a.b"])
    [line] = [line for line in text.splitlines() if line.startswith("kube_pod_annotations{")]
    uid = one["metadata"]["uid"]
    assert line == (
        f'kube_pod_annotations{{namespace="ns",pod="p",uid="{uid}",'
        'annotation_a_b_conflict1="1",annotation_a_b_conflict2="2",'
        'annotation_a_b_camel_case="x\\"\\\\\\n"} 1'
    )
    assert "kube_pod_annotations" not in exposition([one], [])


async def test_a_watch_that_goes_back_too_far_is_told_so():
    store = Store()
    one = store.create("pods", "ns", admit("pods", pod()))
    first = int(one["metadata"]["resourceVersion"])
    for number in range(1200):
        store.change("pods", "ns", "p", lambda o, n=number: o["status"].update(n=n))
    with pytest.raises(Refused) as refused:
        await store.changes(first)
    assert (refused.value.code, refused.value.status["reason"]) == (410, "Expired")
    assert len(await store.changes(store.version - 3)) == 3


def test_selectors():
    given = pod() | {"metadata": {"name": "p", "labels": {"component": "singleuser-server"}}}
    one = Store().create("pods", "ns", admit("pods", given))
    assert Wanted("pods", "ns", "component=singleuser-server", "metadata.name=p").has(one)
    assert not Wanted("pods", "ns", "component!=singleuser-server").has(one)
    assert not Wanted("pods", "other").has(one)
    with pytest.raises(Refused):
        Wanted("pods", labels="a b")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Cluster:
    with running_cluster(tmp_path_factory.mktemp("cluster"), ["ns"]) as running:
        yield running


def status_of(cluster: Cluster, name: str) -> dict:
    return cluster.request("GET", f"/api/v1/namespaces/ns/pods/{name}").json()["status"]


def test_errors_are_statuses(cluster):
    where = "/api/v1/namespaces/ns/pods"
    missing = cluster.request("GET", f"{where}/missing")
    assert (missing.status_code, missing.json()["reason"]) == (404, "NotFound")
    cluster.create_pod("ns", "twice")
    again = cluster.request("POST", where, json=pod() | {"metadata": {"name": "twice"}})
    assert (again.status_code, again.json()["reason"]) == (409, "AlreadyExists")
    nowhere = cluster.request("POST", "/api/v1/namespaces/nowhere/pods", json=pod())
    assert nowhere.status_code == 404


@pytest.mark.parametrize(
    ("command", "policy", "phase"),
    [("true", "OnFailure", "Succeeded"), ("false", "Never", "Failed")],
)
def test_a_pod_ends_as_its_process_does(cluster, command, policy, phase):
    name = f"ends-{phase.lower()}"
    cluster.create_pod("ns", name, container={"command": [command]}, restartPolicy=policy)
    wait_until(lambda: status_of(cluster, name)["phase"] == phase)
    values = {labels["phase"]: value for labels, value in cluster.samples(
        "kube_pod_status_phase", pod=name)}  # fmt: skip
    assert values == dict.fromkeys(("Pending", "Running", "Unknown"), 0) | {
        "Succeeded": float(phase == "Succeeded"),
        "Failed": float(phase == "Failed"),
    }


def test_a_pod_without_a_node_has_requests_without_one(cluster):
    cluster.set(held=["held-*"])
    asks = {"resources": {"requests": {"memory": "1Gi"}}}
    cluster.create_pod("ns", "held-1", container=asks)
    metric = "kube_pod_container_resource_requests"
    [(labels, value)] = cluster.samples(metric, pod="held-1")
    assert (labels["node"], labels["unit"], value) == ("", "byte", 1024**3)
    wait_until(lambda: status_of(cluster, "held-1")["conditions"] != [])
    assert status_of(cluster, "held-1")["phase"] == "Pending"
    cluster.set(held=[])
    wait_until(lambda: status_of(cluster, "held-1")["phase"] == "Running")
    [(labels, _)] = cluster.samples(metric, pod="held-1")
    assert labels["node"] == "node-1"


def test_a_deleted_pod_has_its_grace_and_is_gone(cluster):
    stubborn = {"command": ["sh", "-c", "trap '' TERM; sleep 60 & wait; wait"]}
    cluster.create_pod("ns", "stubborn", container=stubborn)
    wait_until(lambda: status_of(cluster, "stubborn")["phase"] == "Running")
    path = "/api/v1/namespaces/ns/pods/stubborn"
    reply = cluster.request("DELETE", path, content=json.dumps({"gracePeriodSeconds": 1}))
    assert reply.json()["metadata"]["deletionGracePeriodSeconds"] == 1
    assert reply.json()["kind"] == "Pod"
    wait_until(lambda: cluster.request("GET", path).status_code == 404)
