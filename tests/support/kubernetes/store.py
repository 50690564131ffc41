"""Objects and their versions, as an API server keeps them."""

from __future__ import annotations

import asyncio
import copy
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

KINDS = {
    "events": "Event",
    "namespaces": "Namespace",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "pods": "Pod",
    "secrets": "Secret",
    "services": "Service",
}
"""Kinds by the plural that paths have."""

REMEMBERED = 1000
"""How many changes a watch can go back."""


class Refused(Exception):
    """An error as the API server answers it, a `Status`."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details or {},
            "code": code,
        }


def not_found(plural: str, name: str) -> Refused:
    """There is no such object."""
    details = {"name": name, "kind": plural}
    return Refused(404, "NotFound", f'{plural} "{name}" not found', details)


@dataclass(frozen=True)
class Change:
    """What happened to an object: as it was before, and as it is now."""

    version: int
    plural: str
    before: Object | None
    now: Object | None


@dataclass(frozen=True)
class Wanted:
    """Which objects are meant; an empty namespace is all of them."""

    plural: str
    namespace: str = ""
    labels: str = ""
    fields: str = ""

    def __post_init__(self) -> None:
        # A selector that nobody can read must not wait for an object to be noticed.
        list(_terms(self.labels))
        list(_terms(self.fields))

    def has(self, one: Object | None) -> bool:
        """Whether an object is one of them."""
        if one is None:
            return False
        metadata = one["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        labels = metadata.get("labels") or {}
        return all(
            (labels.get(key) == value) is equal for key, value, equal in _terms(self.labels)
        ) and all(
            (str(_field(one, key)) == value) is equal for key, value, equal in _terms(self.fields)
        )


def _terms(selector: str) -> Iterator[tuple[str, str, bool]]:
    for term in filter(None, selector.split(",")):
        found = re.fullmatch(r"\s*([\w./-]+)\s*(==|!=|=)\s*([\w./-]*)\s*", term)
        if found is None:
            raise Refused(400, "BadRequest", f"unable to parse requirement: {term!r}")
        yield found[1], found[3], found[2] != "!="


def _field(one: Any, path: str) -> Any:
    for part in path.split("."):
        one = (one or {}).get(part, "")
    return one


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Store:
    """All objects. What is given out must not be changed by whoever gets it."""

    def __init__(self) -> None:
        self.version = 1
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._changes: deque[Change] = deque(maxlen=REMEMBERED)
        self._changed = asyncio.Event()

    def list(self, wanted: Wanted) -> list[Object]:
        """The objects that are wanted, by namespace and name."""
        return [
            one
            for (plural, _, _), one in sorted(self._objects.items())
            if plural == wanted.plural and wanted.has(one)
        ]

    def get(self, plural: str, namespace: str, name: str) -> Object:
        """One object; `Refused` when there is none."""
        try:
            return self._objects[plural, namespace, name]
        except KeyError:
            raise not_found(plural, name) from None

    def create(self, plural: str, namespace: str, given: Object) -> Object:
        """A new object, which has what every one has; `Refused` when there is one of this name."""
        one = copy.deepcopy(given)
        name = one["metadata"]["name"]
        if (plural, namespace, name) in self._objects:
            details = {"name": name, "kind": plural}
            message = f'{plural} "{name}" already exists'
            raise Refused(409, "AlreadyExists", message, details)
        one |= {"kind": KINDS[plural], "apiVersion": "v1"}
        one["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
        if namespace:
            one["metadata"]["namespace"] = namespace
        return self._put(plural, namespace, None, one)

    def change(
        self, plural: str, namespace: str, name: str, change: Callable[[Object], None]
    ) -> Object:
        """An object after a change of it."""
        before = self.get(plural, namespace, name)
        now = copy.deepcopy(before)
        change(now)
        return before if now == before else self._put(plural, namespace, before, now)

    def remove(self, plural: str, namespace: str, name: str) -> Object:
        """What was removed: the object, and what it owned with it."""
        before = self._objects.pop((plural, namespace, name), None)
        if before is None:
            raise not_found(plural, name)
        self.version += 1
        self._tell(Change(self.version, plural, before, None))
        owner = before["metadata"]["uid"]
        for (other, where, called), one in list(self._objects.items()):
            owners = one["metadata"].get("ownerReferences") or ()
            if any(reference["uid"] == owner for reference in owners):
                self.remove(other, where, called)
        return before

    async def changes(self, since: int) -> Sequence[Change]:
        """What happened after a version; waits until something has."""
        self.check(since)
        while self.version <= since:
            await self._changed.wait()
        return [change for change in self._changes if change.version > since]

    def check(self, since: int) -> None:
        """`Refused` when it is not known any more what happened after a version."""
        oldest = self._changes[0].version if self._changes else self.version
        if since and since + 1 < oldest and len(self._changes) == REMEMBERED:
            message = f"too old resource version: {since} ({oldest})"
            raise Refused(410, "Expired", message)

    def _put(self, plural: str, namespace: str, before: Object | None, now: Object) -> Object:
        self.version += 1
        now["metadata"]["resourceVersion"] = str(self.version)
        self._objects[plural, namespace, now["metadata"]["name"]] = now
        self._tell(Change(self.version, plural, before, now))
        return now

    def _tell(self, change: Change) -> None:
        self._changes.append(change)
        self._changed.set()
        self._changed = asyncio.Event()
