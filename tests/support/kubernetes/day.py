"""A day in the life of the Hubs of a cluster, and a record of it. It takes two to three minutes:
usage is known of whole minutes, and servers have to run over two of them.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.forked import run_command
from tests.support.hub import WITH_SPAWNERS, Hub, launch, write_config
from tests.support.programs import Program, free_port, start_prometheus
from tests.support.visitor import PATIENCE, Visitor

from .cluster import USERNAME, Cluster, running_cluster
from .deployments import HUBS, SERVERS, Deployment, Server
from .truth import MINUTE, SCRAPE_INTERVAL, SLACK, Record, recording

USED = "jupyterhub_usage_quotas_used"
DASHBOARD = "/services/usage-quota/api/v1"
EARLIEST, LATEST = 2 * SLACK, 35
"""The seconds of a minute between which servers are started, and stopped in the end."""
REFRESHES = "jupyterhub_usage_quotas_refreshes_total"
NOT_SERVERS = {"hub-6d5f8c9b7d-x2x4z", "jupyter-al--not-annotated", "succeeded", "failed"}

Pod = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """What the Hub said to a launch."""

    status: int
    message: str
    retry_at: float


@dataclass
class Day:
    """What was seen."""

    record: Record
    annotations: dict[Pod, dict[str, str]] = field(default_factory=dict)
    requested: dict[Pod, dict[str, float]] = field(default_factory=dict)
    """By pod and resource, added up over containers."""
    restarts: dict[Pod, float] = field(default_factory=dict)
    denied: dict[str, dict[str, Answer]] = field(default_factory=dict)
    too_early: dict[str, list[Answer]] = field(default_factory=dict)
    """What the Hub said to lina before the retry time that it had told her."""
    in_time: dict[str, Answer] = field(default_factory=dict)
    """The same, at that time."""
    ready_after_restart: dict[str, dict[Server, bool]] = field(default_factory=dict)
    finally_used: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    used_when_shown: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    """What the Hub's metrics said at the same time, in hours."""
    shown_to_admins: dict[str, dict[tuple[str, str], float | None]] = field(default_factory=dict)
    """What the dashboard said in the end that users have used of policies, in their units."""
    shown_to_users: dict[str, dict[tuple[str, str], float | None]] = field(default_factory=dict)
    """The same, as each user sees it."""
    checked: dict[str, float] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    nobodys: dict[str, float] = field(default_factory=dict)

    def used(self, hub: Deployment, user: str, policy: str) -> float:
        """What the Hub said in the end that a user has used of a policy, in hours."""
        return self.finally_used[hub.namespace].get((user, policy), 0.0)

    def true_usage(
        self, hub: Deployment, counted: Callable[[Server], bool], resource: str
    ) -> tuple[float, float]:
        """The least and the most that these servers can have used, by the minutes they ran."""
        least = most = 0.0
        for server in filter(counted, SERVERS):
            surely, perhaps = self.record.minutes(hub.pod(server))
            rate = hub.rate(server, resource)
            # Of the last minute only what was before its last scrape is known at first.
            least += max(surely * MINUTE - SLACK, 0) * rate
            most += perhaps * MINUTE * rate
        return least, most


class RunningHub:
    """One of the Hubs, with its users logged in."""

    def __init__(self, deployment: Deployment, directory: Path, cluster: Cluster, url: str) -> None:
        """Start it, without waiting for it."""
        self.deployment = deployment
        self.namespace = deployment.namespace
        self._directory = directory / deployment.namespace
        port = free_port()
        self.config = write_config(
            self._directory, deployment.version, deployment.config(cluster, url), port
        )
        self.url = f"http://127.0.0.1:{port}"
        self.program = self._launch()
        self._visitors: dict[str, Visitor] = {}
        self._tokens: dict[str, str] = {}

    def _launch(self) -> Program:
        return launch(self._directory, self.deployment.version, self.config)

    def wait(self) -> None:
        """Wait until it answers."""
        self.program.wait_for_url(f"{self.url}/hub/health")

    def stop_it(self) -> None:
        """Stop the Hub and its proxy; pods go on."""
        self.program.stop()

    def restart(self) -> None:
        """Stop it, and start it again."""
        self.stop_it()
        self.program = self._launch()
        self.wait()

    def visitor(self, user: str) -> Visitor:
        """A user at a browser."""
        if user not in self._visitors:
            self._visitors[user] = Visitor(self.url, user)
        return self._visitors[user]

    def start(self, server: Server) -> Answer:
        """Ask for a server."""
        path = f"/users/{quote(server.user, safe='')}/"
        path += f"servers/{server.name}" if server.name else "server"
        visitor = self.visitor(server.user)
        reply = visitor.api("POST", path, json=server.options)
        message = reply.json().get("message", "") if reply.content else ""
        retry = float(reply.headers.get("Retry-After", "nan"))
        return Answer(reply.status_code, message, time.time() + retry)

    def is_ready(self, server: Server) -> bool:
        """Whether the Hub says that a server is ready."""
        return self.visitor(server.user).servers().get(server.name, {}).get("ready", False)

    def stop(self, server: Server) -> None:
        """Have a server stopped."""
        path = f"/users/{quote(server.user, safe='')}/"
        path += f"servers/{server.name}" if server.name else "server"
        self.visitor(server.user).api("DELETE", path)

    def used(self) -> dict[tuple[str, str], float]:
        """By user and policy, what the Hub's metrics say was used, in hours."""
        text = self.visitor("al").http.get(f"{self.url}/hub/metrics").text
        return {
            (sample.labels["username"], sample.labels["policy"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == USED
        }

    def shown(self, user: str, path: str) -> dict[str, Any]:
        """What the dashboard's API says to a user."""
        if user not in self._tokens:
            made = self.visitor(user).api("POST", f"/users/{quote(user, safe='')}/tokens", json={})
            self._tokens[user] = made.json()["token"]
        headers = {"Authorization": f"token {self._tokens[user]}"}
        answer = self.visitor(user).http.get(f"{DASHBOARD}/{path}", headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def metric(self, name: str, **labels: str) -> float:
        """One sample of the Hub's metrics."""
        return Hub(self.url, self.program, self.deployment.version).metric(name, **labels)

    def check(self, user: str, policy: str) -> float:
        """What the command line says that a user has used, in base units."""
        python = WITH_SPAWNERS[self.deployment.version]
        arguments = ["--json", "--config", self.config, "--user", user]
        done = run_command("check", *arguments, python=python)
        assert done.stdout, done.stderr
        verdicts = json.loads(done.stdout)["verdicts"]
        return next(one["used"] for one in verdicts if one["policy"] == policy)


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Ask again until something is true, with pauses: much else runs on the machine."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "the Hub did not get there in time"
        time.sleep(0.3)


def spend_the_day(directory: Path) -> Day:
    """Start everything, live through the day, stop everything."""
    with ExitStack() as stack:
        cluster = stack.enter_context(
            running_cluster(directory / "cluster", [hub.namespace for hub in HUBS])
        )
        _mislead(cluster)
        cluster.set(held=["jupyter-waiting"])
        day = Day(stack.enter_context(recording(cluster)))
        prometheus, url = start_prometheus(
            directory, [_without_annotations(cluster)], scrape_interval=f"{SCRAPE_INTERVAL}s"
        )
        stack.enter_context(prometheus)
        hubs = [RunningHub(hub, directory, cluster, url) for hub in HUBS]
        for hub in hubs:
            stack.callback(hub.stop_it)
        pool = stack.enter_context(ThreadPoolExecutor(2 * len(HUBS) * len(SERVERS)))
        _morning(day, hubs, cluster, pool)
        list(pool.map(lambda hub: _noon(day, hub, cluster), hubs))
        list(pool.map(lambda hub: _evening(day, hub), hubs))
        day.restarts = {
            (labels["namespace"], labels["pod"]): value
            for labels, value in cluster.samples(
                "kube_pod_container_status_restarts_total", container="notebook"
            )
        }
        _wait_for_the_middle_of_a_minute()
        list(pool.map(lambda hub: _night(day, hub, cluster), hubs))
        day.record.scrapes = _scrapes(url)
    return day


def _scrapes(url: str) -> list[tuple[float, bool]]:
    """When Prometheus scraped the cluster, and whether it got an answer."""
    query = {"query": 'up{job="kube-state-metrics"}[1h]'}
    reply = httpx.get(f"{url}/api/v1/query", params=query, trust_env=False)
    [series] = reply.json()["data"]["result"]
    return [(at, value == "1") for at, value in series["values"]]


def _without_annotations(cluster: Cluster) -> dict[str, Any]:
    """How the cluster is scraped: some have no annotations exported."""
    namespaces = "|".join(hub.namespace for hub in HUBS if hub.by_name)
    dropped = {
        "source_labels": ["__name__", "namespace"],
        "regex": f"kube_pod_annotations;({namespaces})",
        "action": "drop",
    }
    return {**cluster.scrape_config, "metric_relabel_configs": [dropped]}


def _mislead(cluster: Cluster) -> None:
    """Pods that are not for any Hub to count, though they look like it."""
    of_alice = {"annotations": {USERNAME: "alice"}}
    large = {"resources": {"requests": {"memory": "64Gi", "cpu": "8"}}}
    cluster.create_pod("default", "jupyter-alice", metadata=of_alice, container=large)
    for hub in HUBS:
        cluster.create_pod(hub.namespace, "hub-6d5f8c9b7d-x2x4z")
        cluster.create_pod(hub.namespace, "jupyter-al--not-annotated", container=large)
        for name, command in (("succeeded", "true"), ("failed", "false")):
            ends = large | {"command": [command]}
            cluster.create_pod(
                hub.namespace, name, metadata=of_alice, container=ends, restartPolicy="Never"
            )


def _morning(day: Day, hubs: list[RunningHub], cluster: Cluster, pool: Executor) -> None:
    """All servers are started, early enough in a minute to run before it is over."""
    list(pool.map(RunningHub.wait, hubs))
    users = {server.user for server in SERVERS}
    list(pool.map(lambda one: one[0].visitor(one[1]), [(h, u) for h in hubs for u in users]))
    _wait_for_the_middle_of_a_minute()
    for hub in hubs:
        for server in SERVERS:
            pool.submit(hub.start, server)
    for hub in hubs:
        for server in SERVERS:
            if server.user != "waiting":
                wait_until(lambda hub=hub, server=server: hub.is_ready(server))
    for labels, _ in cluster.samples("kube_pod_annotations"):
        day.annotations[labels["namespace"], labels["pod"]] = labels
    for labels, value in cluster.samples("kube_pod_container_resource_requests"):
        of_pod = day.requested.setdefault((labels["namespace"], labels["pod"]), {})
        of_pod[labels["resource"]] = of_pod.get(labels["resource"], 0.0) + value


def _wait_for_the_middle_of_a_minute() -> None:
    """Until what is done is clear of a whole minute, at which it is not known whether a pod ran."""
    second = time.time() % MINUTE
    if second > LATEST:
        time.sleep(MINUTE + EARLIEST - second)
    else:
        time.sleep(max(EARLIEST - second, 0))


def _noon(day: Day, hub: RunningHub, cluster: Cluster) -> None:
    """The first minute is over: quotas are used up, a container crashes, the Hub restarts."""
    wait_until(lambda: hub.used().get(("lina", "tight"), 0.0) > 0)
    lina, of_crash = Server("lina"), hub.deployment.pod(Server("crash"))
    hub.stop(lina)
    wait_until(lambda: not hub.visitor("lina").servers())
    denied = hub.start(lina)
    day.denied[hub.namespace] = {"lina": denied, "dora": hub.start(Server("dora", "more"))}
    day.too_early[hub.namespace] = _too_early(hub, denied.retry_at)
    [pod] = [one for one in cluster.pods(of_crash[0]) if one["metadata"]["name"] == of_crash[1]]
    process = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("process://")
    os.kill(int(process), signal.SIGKILL)
    # A restarted Hub would wait for a server whose pod is there.
    namespace, name = hub.deployment.pod(Server("waiting"))
    cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}")
    hub.restart()
    day.ready_after_restart[hub.namespace] = {server: hub.is_ready(server) for server in SERVERS}


def _evening(day: Day, hub: RunningHub) -> None:
    """Until it is time, launches are denied; then one is allowed."""
    retry_at = day.denied[hub.namespace]["lina"].retry_at
    time.sleep(max(retry_at - 10 - time.time(), 0))
    if time.time() < retry_at - 8:
        day.too_early[hub.namespace] += _too_early(hub, retry_at)
    time.sleep(max(retry_at - time.time(), 0))
    day.in_time[hub.namespace] = hub.start(Server("lina"))
    two_minutes = 2 / MINUTE - 1e-6
    wait_until(lambda: hub.used().get(("al", "time"), 0.0) >= two_minutes)


def _too_early(hub: RunningHub, retry_at: float) -> list[Answer]:
    """What the Hub says to lina before it is time; nothing where it no longer is before."""
    answer = hub.start(Server("lina"))
    return [answer] if time.time() < retry_at - 1.5 else []


def _night(day: Day, hub: RunningHub, cluster: Cluster) -> None:
    """All servers end, and all that they used becomes known."""
    for server in SERVERS:
        hub.stop(server)
    others = {hub.deployment.pod(Server("waiting"))[1], *NOT_SERVERS}

    def are_gone() -> bool:
        names = {
            one["metadata"]["name"]
            for pod in {hub.deployment.pod(server)[0] for server in SERVERS}
            for one in cluster.pods(pod)
        }
        return not names - others

    wait_until(are_gone)
    refreshed = hub.metric(REFRESHES, outcome="success")
    wait_until(lambda: hub.metric(REFRESHES, outcome="success") > refreshed + 1)
    day.finally_used[hub.namespace] = hub.used()
    _show(day, hub)
    day.logs[hub.namespace] = hub.program.output()
    day.nobodys[hub.namespace] = hub.metric("jupyterhub_usage_quotas_pods_without_user")
    day.checked[hub.namespace] = hub.check("alice", "memory")


def _show(day: Day, hub: RunningHub) -> None:
    """What the dashboard says once its whole minute, too, is after the end of all servers."""
    now = time.time()

    def as_of() -> float:
        return datetime.fromisoformat(hub.shown("admin", "me")["as_of"]).timestamp()

    wait_until(lambda: as_of() >= now)
    # By now the last minute in which a server ran is known as a whole, to the Hub as well.
    refreshed = hub.metric(REFRESHES, outcome="success")
    wait_until(lambda: hub.metric(REFRESHES, outcome="success") > refreshed + 1)
    day.used_when_shown[hub.namespace] = hub.used()
    day.shown_to_admins[hub.namespace] = {
        (row["user"], verdict["policy"]): verdict["used"]
        for row in hub.shown("admin", "users?limit=100")["items"]
        for verdict in row["verdicts"]
    }
    day.shown_to_users[hub.namespace] = {
        (user, verdict["policy"]): verdict["used"]
        for user in {server.user for server in SERVERS}
        for verdict in hub.shown(user, "me")["verdicts"]
    }
