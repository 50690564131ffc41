"""A store of very many users, made of a real Prometheus of few: each answer has every series of a
user as many times over, under as many names; and it refuses what a store of a kind refuses, by the
limits that its documentation names.

It runs in a process of its own: python -m benchmarks.multiplied PORT URL USERS TIMES KIND.
What was asked since it was last read is at /counts.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx

CHUNK = 120
"""Samples in a chunk, at most."""
USER = re.compile(r"\buser-(\d+)")
UID = re.compile(r"\b([0-9a-f]{8})-0000-4000-8000-([0-9a-f]{12})\b")
SELECTOR = re.compile(r'([a-zA-Z_:][\w:]*)(\{(?:[^"{}]|"(?:\\.|[^"\\])*")*\})')
RANGE = re.compile(r"\[(\d+)ms")


@dataclass(frozen=True)
class Limits:
    """What a store refuses; infinite where its documentation says that there is no limit."""

    what: str
    text: float = math.inf
    """Bytes of a query."""
    seconds: float = math.inf
    """Of time that a query is about."""
    series: float = math.inf
    chunks: float = math.inf
    samples: float = math.inf

    def exceeded(self, asked: Asked) -> str:
        """What of a query is too much; empty where nothing is."""
        for name in ("text", "seconds", "series", "chunks", "samples"):
            if getattr(asked, name) > getattr(self, name):
                return f"{name}: {getattr(asked, name):.0f}, limit {getattr(self, name):.0f}"
        return ""


DAY = 86400
KINDS = {
    "none": Limits("no limits"),
    # -querier.max-fetched-chunks-per-query; no others are set by default.
    "mimir": Limits("Mimir", chunks=2_000_000),
    # Hosted ones add a bound on the time of a query, mostly about a month.
    "hosted": Limits("Mimir, hosted", chunks=2_000_000, seconds=32 * DAY),
    # --store.limits.request-series and -samples are 0, which is none; operators set such.
    "thanos": Limits("Thanos", series=500_000, samples=50_000_000),
    # -search.maxQueryLen, -search.maxSamplesPerQuery; -search.maxUniqueTimeseries, before it was
    # worked out from the memory there is.
    "victoria": Limits("VictoriaMetrics", text=16 * 1024, series=300_000, samples=1e9),
}


@dataclass
class Asked:
    """A query, or the most of several."""

    text: float = 0
    seconds: float = 0
    series: float = 0
    chunks: float = 0
    samples: float = 0


@dataclass
class Counts:
    """What was asked since this was last read."""

    queries: int = 0
    refused: int = 0
    decoded: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self.most = Asked()
        self.reasons: dict[str, int] = {}
        self.lock = threading.Lock()

    def taken(self) -> dict[str, Any]:
        """All of it, from now on again from nothing."""
        with self.lock:
            found = asdict(self) | {"most": asdict(self.most), "reasons": dict(self.reasons)}
            self.__init__()
        return found


class Multiplied:
    """The store: `users` in a Prometheus stand for `times` as many."""

    def __init__(self, url: str, users: int, times: int, limits: Limits) -> None:
        self._users, self._times, self._limits = users, times, limits
        self._http = httpx.Client(base_url=f"{url}/api/v1/", trust_env=False, timeout=300)
        self.counts = Counts()

    def answer(self, endpoint: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        """The status and the body of an answer to a query."""
        query = parameters["query"]
        wanted = {int(one) for one in USER.findall(query)}
        few = USER.sub(lambda found: f"user-{int(found[1]) % self._users}", query)
        asked = self._asked(query, few, parameters, self._factor(wanted))
        if not (why := self._limits.exceeded(asked)):
            reply = self._http.post(endpoint, data=parameters | {"query": few, "stats": "all"})
            if not reply.is_success:
                return reply.status_code, reply.content
            data = reply.json()["data"]
            samples = data.pop("stats")["samples"]["totalQueryableSamples"]
            asked.samples = samples * self._factor(wanted)
            why = self._limits.exceeded(asked)
        self._note(asked, why)
        if why:
            said = {"status": "error", "errorType": "execution", "error": f"too much: {why}"}
            return 422, json.dumps(said).encode()
        result = b",".join(self._copies(data.pop("result"), wanted))
        head = f'{{"status":"success","data":{{"resultType":"{data["resultType"]}","result":['
        return 200, head.encode() + result + b"]}}"

    def _factor(self, wanted: set[int]) -> float:
        """For how many users a user stands in a query about those, or about everybody."""
        if not wanted:
            return self._times
        return len(wanted) / len({one % self._users for one in wanted})

    def _copies(self, result: Iterable[Any], wanted: set[int]) -> Iterator[bytes]:
        for one in result:
            labels = json.dumps(one["metric"])
            values = json.dumps(one.get("value") or one["values"], separators=(",", ":"))
            kind = "value" if "value" in one else "values"
            user, uid = USER.search(labels), UID.search(labels)
            if not user and not uid:
                yield f'{{"metric":{labels},"{kind}":{values}}}'.encode()
                continue
            first = int(user[1]) if user else int(uid[1], 16)
            # Of braces in it, only those that are filled in here are left.
            pattern = labels.replace("{", "{{").replace("}", "}}")
            pattern = USER.sub("user-{0}", pattern)
            pattern = UID.sub(r"\1-{1:04x}-4000-8000-\2", pattern)
            for copy in range(self._times):
                number = first + copy * self._users
                if not wanted or number in wanted:
                    named = pattern.format(number, copy)
                    yield f'{{"metric":{named},"{kind}":{values}}}'.encode()

    def _asked(self, query: str, few: str, parameters: dict[str, str], factor: float) -> Asked:
        """What a query takes of a store: the most that one of its selectors fetches."""
        end = float(parameters.get("end") or parameters["time"])
        back = max([300.0, *(int(one) / 1000 for one in RANGE.findall(query))])
        start = float(parameters.get("start", end)) - back
        about = Asked(len(query.encode()), end - start)
        if about.text > self._limits.text:
            return about
        for metric, matchers in set(SELECTOR.findall(few)):
            reply = self._http.post(
                "series",
                data={"match[]": metric + matchers, "start": str(start), "end": str(end)},
            )
            found = reply.json().get("data", [])
            of_users = sum("user-" in one.get("pod", one.get("username", "")) for one in found)
            number = len(found) - of_users + of_users * factor
            # A server lives for six hours at most here.
            samples = min(end - start, 6 * 3600) / 60
            about.series += number
            about.chunks += number * math.ceil(1 + samples / CHUNK)
        return about

    def _note(self, asked: Asked, why: str) -> None:
        with self.counts.lock:
            self.counts.queries += 1
            self.counts.refused += bool(why)
            if why:
                name = why.partition(":")[0]
                self.counts.reasons[name] = self.counts.reasons.get(name, 0) + 1
                return
            for one in fields(Asked):
                most = max(getattr(self.counts.most, one.name), getattr(asked, one.name))
                setattr(self.counts.most, one.name, most)


def handler(store: Multiplied) -> type[BaseHTTPRequestHandler]:
    """What answers requests about a store."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/counts":
                self._reply(200, json.dumps(store.counts.taken()).encode())
            else:
                self._reply(404, b"{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            parameters = dict(parse_qsl(body, keep_blank_values=True))
            status, content = store.answer(self.path.rpartition("/")[2], parameters)
            with store.counts.lock:
                store.counts.decoded += len(content)
            self._reply(status, content, encoded="gzip" in self.headers["Accept-Encoding"])

        def _reply(self, status: int, content: bytes, *, encoded: bool = False) -> None:
            if encoded:
                content = gzip.compress(content, 1)
                with store.counts.lock:
                    store.counts.sent += len(content)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if encoded:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    """Serve until it is stopped."""
    port, url, users, times, kind = sys.argv[1:6]
    store = Multiplied(url, int(users), int(times), KINDS[kind])
    ThreadingHTTPServer(("127.0.0.1", int(port)), handler(store)).serve_forever()


if __name__ == "__main__":
    main()
