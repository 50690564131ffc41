"""Scheduler and kubelet in one: pods as processes, and their status as it becomes what it is."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import re
import signal
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .store import Object, Refused, Store, Wanted, timestamp

NODE = "node-1"
BACK_OFF = 0.5
"""Seconds before a container is started again; Kubernetes begins with ten."""
FOREVER = ["sleep", "infinity"]
"""What runs where a container has no command: it would be in the image."""


@dataclass
class Settings:
    """What tests can change while it runs."""

    scheduling_delay: float = 0.2
    """Seconds until a pod gets a node."""
    held: list[str] = field(default_factory=list)
    """Patterns of the names of pods that get no node as long as they are here."""
    annotations: list[str] = field(default_factory=list)
    """kube-state-metrics' allow-list: keys of pods' annotations, or "*"."""


@dataclass
class _Pod:
    """A pod that the kubelet takes care of."""

    namespace: str
    name: str
    spec: Object
    metadata: Object
    address: str
    task: asyncio.Task[None] | None = None
    processes: set[asyncio.subprocess.Process] = field(default_factory=set)
    ending: bool = False


class Kubelet:
    """Runs pods; their files are in a directory, their addresses in a network of its own."""

    def __init__(self, store: Store, directory: Path, settings: Settings, port: int) -> None:
        """`port` is one that nobody else has: no other kubelet has these addresses then."""
        self.settings = settings
        self._store = store
        self._directory = directory
        self._network = f"127.{port >> 8}.{port & 255}"
        self._pods: dict[str, _Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def admitted(self, pod: Object) -> None:
        """Take care of a new pod."""
        metadata = pod["metadata"]
        taken = {one.address for one in self._pods.values()}
        addresses = (f"{self._network}.{number}" for number in range(1, 255))
        address = next(one for one in addresses if one not in taken)
        one = _Pod(metadata["namespace"], metadata["name"], pod["spec"], metadata, address)
        self._pods[metadata["uid"]] = one
        one.task = asyncio.create_task(self._run(one))

    def _later(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def delete(self, namespace: str, name: str, grace: int | None) -> Object:
        """The pod, which is going to end; at once without a grace period, or without a node."""
        pod = self._store.get("pods", namespace, name)
        seconds = pod["spec"]["terminationGracePeriodSeconds"] if grace is None else grace
        if not pod["spec"].get("nodeName"):
            seconds = 0
        known = self._pods.get(pod["metadata"]["uid"])
        if not seconds or known is None:
            if known:
                self._later(self._end(known, 0))
            return self._store.remove("pods", namespace, name)

        def mark(pod: Object) -> None:
            pod["metadata"] |= {
                "deletionTimestamp": timestamp(),
                "deletionGracePeriodSeconds": seconds,
            }

        if not known.ending:
            self._later(self._end(known, seconds))
        return self._store.change("pods", namespace, name, mark)

    async def stop(self) -> None:
        """End everything."""
        await asyncio.gather(*(self._end(pod, 0) for pod in list(self._pods.values())))

    # --- a pod's life --------------------------------------------------------------------------

    async def _run(self, pod: _Pod) -> None:
        with contextlib.suppress(Refused):  # it is gone
            await self._schedule(pod)
            for container in pod.spec.get("initContainers") or ():
                await self._keep(pod, container, "initContainerStatuses")
            codes = await asyncio.gather(
                *(self._keep(pod, container) for container in pod.spec["containers"])
            )
            if not pod.ending:
                self._set(pod, phase="Failed" if any(codes) else "Succeeded")

    async def _schedule(self, pod: _Pod) -> None:
        until = asyncio.get_running_loop().time() + self.settings.scheduling_delay
        while asyncio.get_running_loop().time() < until or self._held(pod):
            if self._held(pod):
                self._condition(pod, "PodScheduled", "False", "Unschedulable")
            await asyncio.sleep(0.05)

        def bind(one: Object) -> None:
            one["spec"]["nodeName"] = NODE

        self._store.change("pods", pod.namespace, pod.name, bind)
        self._condition(pod, "PodScheduled", "True")
        self._tell(pod, "Scheduled", f"Successfully assigned {pod.namespace}/{pod.name} to {NODE}")
        self._set(pod, startTime=timestamp(), hostIP="127.0.0.1", podIP=pod.address)
        for container in pod.spec["containers"]:
            waiting = {"waiting": {"reason": "ContainerCreating"}}
            self._show(pod, "containerStatuses", container, state=waiting, ready=False)

    def _held(self, pod: _Pod) -> bool:
        return any(fnmatch.fnmatchcase(pod.name, pattern) for pattern in self.settings.held)

    async def _keep(self, pod: _Pod, container: Object, statuses: str = "containerStatuses") -> int:
        """Run a container as often as the pod's policy says; returns its last exit code."""
        first, policy = statuses != "containerStatuses", pod.spec["restartPolicy"]
        while True:
            code = await self._once(pod, container, statuses)
            again = policy != "Never" if code else policy == "Always" and not first
            if pod.ending or not again:
                return code
            self._tell(pod, "BackOff", "Back-off restarting failed container", kind="Warning")
            await asyncio.sleep(BACK_OFF)

            def count(status: Object) -> None:
                status |= {"lastState": status["state"]}
                status["restartCount"] += 1

            self._change(pod, statuses, container, count)

    async def _once(self, pod: _Pod, container: Object, statuses: str) -> int:
        """Run a container until it ends; returns its exit code."""
        process = await self._start(pod, container)
        pod.processes.add(process)
        started = timestamp()
        self._show(
            pod,
            statuses,
            container,
            ready=statuses == "containerStatuses",
            containerID=f"process://{process.pid}",
            state={"running": {"startedAt": started}},
        )
        self._tell(pod, "Started", f"Started container {container['name']}")
        if statuses == "containerStatuses" and not pod.ending:
            self._set_running(pod)
        code = await process.wait()
        pod.processes.discard(process)
        ended = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Error" if code else "Completed",
            "startedAt": started,
            "finishedAt": timestamp(),
        }
        self._show(pod, statuses, container, ready=False, state={"terminated": ended})
        return code

    async def _start(self, pod: _Pod, container: Object) -> asyncio.subprocess.Process:
        directory = self._directory / pod.metadata["uid"]
        directory.mkdir(parents=True, exist_ok=True)
        environment = self._environment(pod, container)
        command = [*(container.get("command") or ()), *(container.get("args") or ())] or FOREVER
        with (directory / f"{container['name']}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(_expanded(part, environment) for part in command),
                cwd=directory,
                env={"PATH": os.environ["PATH"], "HOME": str(directory), **environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _environment(self, pod: _Pod, container: Object) -> dict[str, str]:
        of_pod = {
            "metadata.name": pod.name,
            "metadata.namespace": pod.namespace,
            "metadata.uid": pod.metadata["uid"],
            "spec.nodeName": NODE,
            "status.podIP": pod.address,
        }
        environment = {"HOSTNAME": pod.name}
        for variable in container.get("env") or ():
            source = (variable.get("valueFrom") or {}).get("fieldRef")
            value = of_pod[source["fieldPath"]] if source else variable.get("value") or ""
            # A pod has its own network: all addresses in it are this one.
            if urlsplit(value).hostname == "0.0.0.0":
                value = value.replace("0.0.0.0", pod.address, 1)
            environment[variable["name"]] = _expanded(value, environment)
        return environment

    async def _end(self, pod: _Pod, seconds: int) -> None:
        """End a pod's processes within so many seconds, and then the pod itself."""
        pod.ending = True
        processes = list(pod.processes)
        _signal(processes, signal.SIGTERM if seconds else signal.SIGKILL)
        ended = asyncio.gather(*(process.wait() for process in processes))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(ended), seconds or None)
        if pod.task:
            pod.task.cancel()
            await asyncio.wait([pod.task])
        _signal(pod.processes, signal.SIGKILL)
        await ended
        self._pods.pop(pod.metadata["uid"], None)
        with contextlib.suppress(Refused):
            now = self._store.get("pods", pod.namespace, pod.name)
            if now["metadata"]["uid"] == pod.metadata["uid"]:
                self._store.remove("pods", pod.namespace, pod.name)

    # --- what it tells -------------------------------------------------------------------------

    def _set(self, pod: _Pod, **status: Any) -> None:
        self._store.change(
            "pods", pod.namespace, pod.name, lambda one: one["status"].update(status)
        )

    def _set_running(self, pod: _Pod) -> None:
        one = self._store.get("pods", pod.namespace, pod.name)
        states = [status["state"] for status in one["status"]["containerStatuses"]]
        if all("waiting" not in state for state in states):
            self._set(pod, phase="Running")
            self._condition(pod, "Ready", "True")

    def _condition(self, pod: _Pod, kind: str, value: str, reason: str = "") -> None:
        def change(one: Object) -> None:
            others = [each for each in one["status"]["conditions"] if each["type"] != kind]
            condition = {"type": kind, "status": value} | ({"reason": reason} if reason else {})
            one["status"]["conditions"] = [*others, condition]

        self._store.change("pods", pod.namespace, pod.name, change)

    def _show(self, pod: _Pod, statuses: str, container: Object, **status: Any) -> None:
        self._change(pod, statuses, container, lambda one: one.update(status))

    def _change(
        self, pod: _Pod, statuses: str, container: Object, change: Callable[[Object], None]
    ) -> None:
        def within(one: Object) -> None:
            shown = one["status"].setdefault(statuses, [])
            found = next((each for each in shown if each["name"] == container["name"]), None)
            if found is None:
                image = container.get("image") or ""
                found = {"name": container["name"], "image": image, "imageID": "", "lastState": {}}
                found |= {"restartCount": 0, "ready": False, "state": {}}
                shown.append(found)
            change(found)

        self._store.change("pods", pod.namespace, pod.name, within)

    def _tell(self, pod: _Pod, reason: str, message: str, kind: str = "Normal") -> None:
        number = len(self._store.list(Wanted("events", pod.namespace)))
        involved = {"kind": "Pod", "namespace": pod.namespace, "name": pod.name, "apiVersion": "v1"}
        event = {
            "metadata": {"name": f"{pod.name}.{number:x}"},
            "involvedObject": involved | {"uid": pod.metadata["uid"]},
            "type": kind,
            "reason": reason,
            "message": message,
            "firstTimestamp": timestamp(),
            "lastTimestamp": timestamp(),
            "eventTime": None,
            "count": 1,
        }
        self._store.create("events", pod.namespace, event)


def _expanded(text: str, environment: dict[str, str]) -> str:
    """Kubernetes' `$(NAME)`."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), text)


def _signal(processes: Iterable[asyncio.subprocess.Process], number: int) -> None:
    for process in processes:
        if process.returncode is None:
            process.send_signal(number)
