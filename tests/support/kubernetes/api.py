"""The API server over HTTP: core/v1 objects of the kinds that KubeSpawner uses.

There is no authentication, no PATCH or PUT, no paging (`limit` is ignored), no other API group, and
services lead nowhere. For tests there is besides

    GET, PATCH /test/settings    the settings of the kubelet and of kube-state-metrics, as JSON
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

from .admission import admit
from .kubelet import Kubelet
from .state_metrics import exposition
from .store import KINDS, Change, Object, Refused, Store, Wanted, not_found

BOOKMARK_EVERY = 1.0
"""Seconds between two bookmarks, where they were asked for."""
LONGEST_WATCH = 300.0


class Handler(RequestHandler):
    """What all handlers have."""

    def initialize(self, store: Store, kubelet: Kubelet) -> None:
        """Given by the application."""
        self.store = store
        self.kubelet = kubelet

    def write_error(self, status_code: int, **more: Any) -> None:
        """A `Status`, as every error of the API server is."""
        error = more.get("exc_info", (None, None, None))[1]
        if not isinstance(error, Refused):
            error = Refused(status_code, self._reason, self._reason)
        self.set_status(error.code)
        self.finish(error.status)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Refusals are answers."""
        if not isinstance(value, Refused):
            super().log_exception(typ, value, tb)

    @property
    def given(self) -> Object:
        """The body of the request."""
        try:
            return json.loads(self.request.body or b"{}")
        except ValueError as error:
            raise Refused(400, "BadRequest", f"the body is not JSON: {error}") from error


class Objects(Handler):
    """Objects of one kind: list and watch, read, create, delete."""

    def prepare(self) -> None:
        """Nothing is in a namespace that is not there."""
        namespace = self.path_kwargs.get("namespace")
        if namespace and self.request.method == "POST":
            self.store.get("namespaces", "", namespace)

    async def get(self, plural: str, namespace: str = "", name: str = "") -> None:
        """Read one object, or list or watch many."""
        namespace = namespace or ""
        if name:
            self.finish(self.store.get(plural, namespace, name))
            return
        wanted = Wanted(
            plural,
            namespace,
            self.get_argument("labelSelector", ""),
            self.get_argument("fieldSelector", ""),
        )
        if self.get_argument("watch", "false").lower() in ("true", "1"):
            await self._watch(wanted)
            return
        self.finish(
            {
                "kind": f"{KINDS[plural]}List",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self.store.version)},
                "items": self.store.list(wanted),
            }
        )

    def post(self, plural: str, namespace: str = "", name: str = "") -> None:
        """Create an object."""
        if name:
            raise Refused(405, "MethodNotAllowed", "an object cannot be created at its own path")
        created = self.store.create(plural, namespace or "", admit(plural, self.given))
        if plural == "pods":
            self.kubelet.admitted(created)
        self.set_status(201)
        self.finish(created)

    def delete(self, plural: str, namespace: str = "", name: str = "") -> None:
        """Delete an object."""
        namespace = namespace or ""
        self.store.get(plural, namespace, name)
        if plural == "pods":
            grace = self.get_argument("gracePeriodSeconds", None)
            options = self.given.get("gracePeriodSeconds")
            seconds = int(grace) if grace is not None else options
            self.finish(self.kubelet.delete(namespace, name, seconds))
            return
        removed = self.store.remove(plural, namespace, name)
        if plural == "namespaces":
            for kind in KINDS:
                for one in self.store.list(Wanted(kind, name)):
                    called = one["metadata"]["name"]
                    if kind == "pods":
                        self.kubelet.delete(name, called, 0)
                    else:
                        self.store.remove(kind, name, called)
        if plural in ("persistentvolumeclaims", "services"):
            self.finish(removed)
            return
        details = {"name": name, "kind": plural, "uid": removed["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        self.finish(status | {"details": details})

    # --- watching ------------------------------------------------------------------------------

    async def _watch(self, wanted: Wanted) -> None:
        since = self.get_argument("resourceVersion", "")
        bookmarks = self.get_argument("allowWatchBookmarks", "false").lower() in ("true", "1")
        loop = asyncio.get_running_loop()
        end = loop.time() + float(self.get_argument("timeoutSeconds", LONGEST_WATCH))
        self.set_header("Content-Type", "application/json")
        try:
            if since in ("", "0"):
                seen = self.store.version
                for one in self.store.list(wanted):
                    await self._send("ADDED", one)
            else:
                seen = int(since)
            await self.flush()
            while (left := end - loop.time()) > 0:
                seen = await self._send_changes(wanted, seen, min(left, BOOKMARK_EVERY))
                if bookmarks:
                    version = {"metadata": {"resourceVersion": str(seen)}}
                    bookmark = {"kind": KINDS[wanted.plural], "apiVersion": "v1"} | version
                    await self._send("BOOKMARK", bookmark)
        except Refused as refused:
            # The answer has begun: an error is an event of its own.
            await self._send("ERROR", refused.status)
        except StreamClosedError:
            return

    async def _send_changes(self, wanted: Wanted, seen: int, seconds: float) -> int:
        """Send what happens within so many seconds; returns up to which version it was sent."""
        try:
            changes = await asyncio.wait_for(self.store.changes(seen), seconds)
        except TimeoutError:
            return seen
        for change in changes:
            if event := _event(wanted, change):
                await self._send(*event)
        return changes[-1].version if changes else seen

    async def _send(self, kind: str, one: Object) -> None:
        self.write(json.dumps({"type": kind, "object": one}) + "\n")
        await self.flush()


def _event(wanted: Wanted, change: Change) -> tuple[str, Object] | None:
    """What a watcher of what is wanted is told of a change."""
    if change.plural != wanted.plural:
        return None
    was, is_now = wanted.has(change.before), wanted.has(change.now)
    if is_now and change.now:
        return ("MODIFIED" if was else "ADDED"), change.now
    if was and change.before:
        version = {"resourceVersion": str(change.version)}
        last = change.now or change.before
        return "DELETED", last | {"metadata": last["metadata"] | version}
    return None


class Metrics(Handler):
    """kube-state-metrics."""

    def get(self) -> None:
        """The page that Prometheus scrapes."""
        self.set_header("Content-Type", "text/plain; version=0.0.4")
        pods = self.store.list(Wanted("pods"))
        self.finish(exposition(pods, self.kubelet.settings.annotations))


class TestSettings(Handler):
    """What tests can change."""

    def get(self) -> None:
        """How it is set."""
        self.finish(dataclasses.asdict(self.kubelet.settings))

    def patch(self) -> None:
        """Change what is given."""
        for name, value in self.given.items():
            if not hasattr(self.kubelet.settings, name):
                raise not_found("settings", name)
            setattr(self.kubelet.settings, name, value)
        self.get()


class Version(Handler):
    """Which Kubernetes this is like."""

    def get(self) -> None:
        """As `kubectl version` shows it."""
        self.finish({"major": "1", "minor": "30", "gitVersion": "v1.30.0"})


def application(store: Store, kubelet: Kubelet) -> Application:
    """The application of all that."""
    given = {"store": store, "kubelet": kubelet}
    namespaced = "|".join(plural for plural in KINDS if plural != "namespaces")
    routes: list[tuple[str, type[RequestHandler]]] = [
        (rf"/api/v1/(?P<plural>namespaces|{namespaced})", Objects),
        (r"/api/v1/(?P<plural>namespaces)/(?P<name>[^/]+)", Objects),
        (
            rf"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<plural>{namespaced})"
            r"(?:/(?P<name>[^/]+))?",
            Objects,
        ),
        (r"/metrics", Metrics),
        (r"/test/settings", TestSettings),
        (r"/version", Version),
    ]
    return Application([(path, handler, given) for path, handler in routes])
