"""The checkpoint: a file with what is known of usage, so that a Hub that starts again only reads
what is new.

A line of JSON says what the file is; what follows is compressed, and has the sum that the line
says. First comes JSON once more (`_Index`), then each user's `Kept` arrays, little-endian, in the
order of the index. Numbers of keys in them are places in the list of keys of the index.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..conventions import __version__
from ..errors import UsageQuotasError
from ..quotas.messages import said_by
from ..quotas.policy.selector import ServerAttributes
from .coverage import ScrapeCoverage
from .snapshot import UsageSnapshot
from .sources.base import DescribedSource
from .timelines import FIELDS, Kept, keys_so_far, number_of

FILE = "usage-quotas.checkpoint"
SAVE_EVERY = timedelta(minutes=5)
"""The longest time between two writes."""
PAUSE = 60
"""How many times as long as a write took it is not written again: who shares the disk is to see
what is new, and it may take a sixtieth of a core.
"""
KIND = "usage cached by jupyterhub-usage-quotas"
FORMAT = 1
LONGEST_LINE = 10_000
LARGEST = 2 * 2**30
"""Bytes of what is in it; a month of ten thousand users is some tens of millions."""
LEVEL = 1
"""Of compression: more takes several times as long, and saves little."""


class CheckpointNotUsable(UsageQuotasError):
    """The file cannot be used, and why; the history is read from Prometheus then."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a checkpoint had: snapshots by the name of their source, and when it was written."""

    snapshots: Mapping[str, UsageSnapshot]
    written: datetime


class Checkpoint:
    """The checkpoint in a folder, of the usage in one Prometheus (`address`).

    Those that only read it are not the `writer`. It has usernames, so only its owner can read it.
    """

    def __init__(self, folder: Path, address: str, *, writer: bool) -> None:
        self.path = folder / FILE
        self.writer = writer
        self._address = address
        self._saved: datetime | None = None
        self._complete = False
        self._pause = timedelta(0)

    def load(
        self, sources: Iterable[DescribedSource], *, after: datetime | None = None
    ) -> Restored | None:
        """What is known of these sources; None where there is no file, or none that was written
        `after` an instant.

        Raises `CheckpointNotUsable`.
        """
        try:
            with self.path.open("rb") as file:
                written, content_sum = _header(file.readline(LONGEST_LINE))
                if after is not None and written <= after:
                    return None
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointNotUsable(f"it cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != content_sum:
            raise CheckpointNotUsable("it is damaged: its content has another sum than it says")
        by_identity = {self._identity(one): one for one in sources}
        try:
            snapshots = {one.source.name: one for one in _unpacked(content, by_identity)}
        except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
            raise CheckpointNotUsable(f"it is damaged: {said_by(error)}") from error
        if not snapshots:
            raise CheckpointNotUsable(
                "it is of another Prometheus, or of a source configured otherwise"
            )
        return Restored(snapshots, written)

    def due(self, now: datetime, *, complete: bool) -> bool:
        """Whether it should be written: now and then, and once the whole history is known."""
        if not self.writer:
            return False
        first_complete = complete and not self._complete
        return self._saved is None or first_complete or now - self._saved >= self._pause

    def save(self, snapshots: Sequence[UsageSnapshot], now: datetime, *, complete: bool) -> None:
        """Write it, beside the one that is there, which it then replaces. Raises OSError."""
        # What cannot be written is not tried again at once either.
        self._saved, self._complete, self._pause = now, complete, SAVE_EVERY
        begun = time.perf_counter()
        content = b"".join(_packed([(self._identity(one.source), one) for one in snapshots]))
        header = {
            "kind": KIND,
            "format": FORMAT,
            "version": __version__,
            "written": now.astimezone(UTC).isoformat(timespec="seconds"),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Such a file is its owner's alone.
        handle, aside = tempfile.mkstemp(prefix=f".{FILE}-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(header).encode() + b"\n")
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(aside)
            raise
        self._pause = pause_after(time.perf_counter() - begun)

    def _identity(self, source: DescribedSource) -> str:
        """What the usage is of: another source, or another Prometheus, is another one."""
        return hashlib.sha256(f"{self._address}\n{source.identity}".encode()).hexdigest()


def pause_after(seconds: float) -> timedelta:
    """How long not to write again after a write that took so long."""
    return min(timedelta(seconds=seconds) * PAUSE, SAVE_EVERY)


def _header(line: bytes) -> tuple[datetime, str]:
    """When a file with this first line was written, and the sum of what follows.

    Raises `CheckpointNotUsable` for files of others.
    """
    try:
        said = json.loads(line)
        kind, made_by = said["kind"], (said["format"], said["version"])
        written, content_sum = datetime.fromisoformat(said["written"]), str(said["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointNotUsable("it is no checkpoint") from error
    if kind != KIND or written.tzinfo is None:
        raise CheckpointNotUsable("it is no checkpoint")
    if made_by != (FORMAT, __version__):
        raise CheckpointNotUsable("another version of jupyterhub-usage-quotas wrote it")
    return written, content_sum


def _packed(snapshots: Sequence[tuple[str, UsageSnapshot]]) -> Iterator[bytes]:
    """Snapshots, each with the identity of its source, as what the file has after its first line.

    A user at a time: packed all at once, they would be in memory twice.
    """
    # Keys that are made meanwhile are of no snapshot among these.
    keys = [[resource, asdict(server)] for resource, server in keys_so_far()]
    index = {
        "order": sys.byteorder,
        "keys": keys,
        "sources": [_description(identity, one) for identity, one in snapshots],
    }
    text = json.dumps(index, separators=(",", ":")).encode()
    compress = zlib.compressobj(LEVEL)
    yield compress.compress(len(text).to_bytes(8, "big") + text)
    for _, snapshot in snapshots:
        for kept in snapshot.usage.values():
            yield compress.compress(kept.tobytes())
    yield compress.flush()


def _description(identity: str, snapshot: UsageSnapshot) -> dict[str, Any]:
    return {
        "identity": identity,
        "coverage": asdict(snapshot.coverage),
        "unmeasured": snapshot.unmeasured,
        "recent_from": snapshot.recent_from,
        "users": [
            [user, len(kept), user in snapshot.recent] for user, kept in snapshot.usage.items()
        ],
    }


def _unpacked(content: bytes, sources: Mapping[str, DescribedSource]) -> Iterator[UsageSnapshot]:
    """The snapshots of these sources, by identity, in the content of a file."""
    decompress = zlib.decompressobj()
    decoded = memoryview(decompress.decompress(content, LARGEST))
    if not decompress.eof:
        raise ValueError("it is not whole")
    begin = 8 + int.from_bytes(decoded[:8], "big")
    index = json.loads(bytes(decoded[8:begin]))
    if index["order"] != sys.byteorder:
        raise ValueError("it is of a machine with another order of bytes")
    numbers = [
        number_of((resource, ServerAttributes(**server))) for resource, server in index["keys"]
    ]
    values = decoded[begin:].cast("d")
    at = 0
    for one in index["sources"]:
        source = sources.get(one["identity"])
        usage: dict[str, Kept[float]] = {}
        for user, length, _ in one["users"]:
            if source:
                usage[user] = _renumbered(values[at : at + length], length, numbers)
            at += length
        if source:
            yield UsageSnapshot(
                source,
                usage,
                _coverage(one["coverage"]),
                tuple((float(start), float(end)) for start, end in one["unmeasured"]),
                frozenset(user for user, _, recent in one["users"] if recent),
                float(one["recent_from"]),
            )
    if at != len(values):
        raise ValueError("it has more in it than it says")


def _renumbered(values: memoryview[float], length: int, numbers: Sequence[int]) -> Kept[float]:
    """One user's usage, with the numbers that keys have in this process."""
    kept: Kept[float] = array("d", values)
    if len(kept) != length:
        raise ValueError("it has less in it than it says")
    at = 0
    while at < length:
        following = int(kept[at + 1])
        if following <= 0 or following % FIELDS or at + 2 + following > length:
            raise ValueError("what a user used does not end where it should")
        kept[at] = numbers[int(kept[at])]
        at += 2 + following
    return kept


def _coverage(known: Mapping[str, Any]) -> ScrapeCoverage:
    gaps = tuple((float(start), float(end)) for start, end in known["gaps"])
    return ScrapeCoverage(**{**known, "gaps": gaps})
