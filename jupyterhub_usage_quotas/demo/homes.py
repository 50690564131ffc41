"""What is in home directories, told to Prometheus as jupyterhub-home-nfs does: what users keep in
the demo, and as much besides as if they had worked there for years.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from .. import conventions

GIB = 1024**3
KEPT = {"alice": 3.25 * GIB, "bob": 9.4 * GIB, "carol": 5.5 * GIB, "dave": 0.75 * GIB}
"""Bytes, by user; besides those of the files that are there."""
LIMIT = 10 * GIB


def exported(homes: Path) -> str:
    """The metrics of these users' directories in `homes`, in Prometheus' text format."""
    lines = []
    for user, kept in KEPT.items():
        size = kept + sum(map(_size, (homes / user).rglob("*")))
        lines.append(f'{conventions.HOME_SIZE}{{directory="{user}"}} {size}\n')
        lines.append(f'{conventions.HOME_LIMIT}{{directory="{user}"}} {LIMIT}\n')
    return "".join(lines)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # it was deleted meanwhile


@contextmanager
def home_exporter(homes: Path) -> Iterator[str]:
    """Serve these metrics; yields where to scrape them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exported(homes).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the demo's output is for who runs it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
