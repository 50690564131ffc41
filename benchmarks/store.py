"""A real Prometheus that holds a made-up Hub's history and goes on being written to, every minute,
and what it and this process take: what every benchmark measures with.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.remote_write import OFFSET, USUAL, Scrapes, write_world
from benchmarks.world import MINUTE, World
from tests.support.programs import Program, find_program, free_port

SETTLED = 0.05
"""Of a core: what Prometheus uses once it has written its blocks."""
AHEAD = 6 * 3600
"""How long a made-up Hub goes on after its history."""
QUERIES = r'"/api/v1/(?:query|query_range)"'


@dataclass
class Store:
    """A Prometheus, the process that it is, and what is written to it."""

    url: str
    pid: int
    world: World
    written: int
    """Until when (Unix seconds, a whole minute) there are samples."""

    def counted(self) -> tuple[float, float]:
        """How many queries it answered so far, and with how many bytes, as they were sent."""
        text = httpx.get(f"{self.url}/metrics", trust_env=False, timeout=30).text
        requests = _sum(text, rf"prometheus_http_requests_total\{{[^}}]*handler={QUERIES}[^}}]*\}}")
        size = _sum(text, rf"prometheus_http_response_size_bytes_sum\{{handler={QUERIES}\}}")
        return requests, size

    def wait_for_a_minute(self) -> None:
        """Wait until there is one more minute than now."""
        before = self.written
        while self.written == before:
            time.sleep(0.2)


def _sum(text: str, series: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{series} (\S+)$", text, re.M))


@contextmanager
def prometheus(directory: Path) -> Iterator[tuple[Program, str]]:
    """A Prometheus that is written to, and its URL."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "prometheus.yml"
    configuration.write_text("{}", encoding="utf-8")
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        find_program("prometheus", "on Debian, `apt-get install prometheus`"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=1y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ]
    with Program(command, directory / "prometheus.log") as program:
        program.wait_for_url(f"{url}/-/ready")
        yield program, url


@contextmanager
def filled(users: int, days: int, scrapes: Scrapes = USUAL) -> Iterator[Store]:
    """A Prometheus with the history of so many users, which goes on as time does."""
    now = time.time()
    end = int(now) // 3600 * 3600 + AHEAD
    # Whole days more than the window, whatever the hour is.
    world = World(users, days + 2, end)
    with tempfile.TemporaryDirectory() as folder, prometheus(Path(folder)) as (program, url):
        store = Store(url, program.pid, world, int(now - OFFSET) // MINUTE * MINUTE)
        write_world(url, world, store.written, scrapes=scrapes)
        settle(program.pid)
        over = threading.Event()
        going_on = threading.Thread(target=_go_on, args=(store, scrapes, over), daemon=True)
        going_on.start()
        try:
            store.wait_for_a_minute()
            yield store
        finally:
            over.set()
            going_on.join()


def _go_on(store: Store, scrapes: Scrapes, over: threading.Event) -> None:
    """Write each minute as soon as it was scraped."""
    while not over.is_set():
        until = int(time.time() - OFFSET) // MINUTE * MINUTE
        if until > store.written:
            write_world(store.url, store.world, until, store.written, scrapes)
            store.written = until
        over.wait(0.5)


def settle(pid: int) -> None:
    """Wait until it has written its blocks."""
    while True:
        before = cpu_of(pid)
        time.sleep(5)
        if cpu_of(pid) - before < SETTLED * 5:
            return


def cpu_of(pid: int) -> float:
    """CPU seconds that a process used so far, all its threads together."""
    # The kernel's clock of a process (clock_getcpuclockid), finer than /proc says it.
    return time.clock_gettime(~pid << 3 | 2)


def forget_peak(pid: int | str = "self") -> None:
    """Have the peak of a process's memory begin now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="utf-8")


def peak_of(pid: int | str = "self") -> float:
    """The most memory (MB) that a process had since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    kib = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.M) or ["nan"]  # it may have ended
    return float(kib[0]) * 1024 / 1e6


@contextmanager
def measured(store: Store, own: int | str = "self") -> Iterator[dict[str, float]]:
    """What a stretch of time takes, once it is over: of Prometheus, and of our own process.

    Bytes are those that were sent, compressed where the client asks for that.
    """
    pid = os.getpid() if own == "self" else int(own)
    figures: dict[str, float] = {}
    forget_peak(pid)
    forget_peak(store.pid)
    queries, size = store.counted()
    server, ours, begun = cpu_of(store.pid), cpu_of(pid), time.perf_counter()
    yield figures
    figures["seconds"] = time.perf_counter() - begun
    figures["server CPU s"] = cpu_of(store.pid) - server
    figures["own CPU s"] = cpu_of(pid) - ours
    more_queries, more_size = store.counted()
    figures["queries"] = more_queries - queries
    figures["kB"] = (more_size - size) / 1e3
    figures["own peak MB"] = peak_of(pid)
    figures["server peak MB"] = peak_of(store.pid)
    figures["load"] = os.getloadavg()[0]


def version() -> str:
    """Of Prometheus."""
    said = subprocess.run(["prometheus", "--version"], check=True, capture_output=True, text=True)
    return (said.stdout or said.stderr).split()[2].partition("+")[0]
