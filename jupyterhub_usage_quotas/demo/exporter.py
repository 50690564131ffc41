"""An exporter that makes its metrics at every scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

LOOK_EVERY = 0.05
"""Seconds in which it notices that it is to end."""


@contextmanager
def served(metrics: Callable[[], str]) -> Iterator[str]:
    """Serve metrics in Prometheus' text format, made at every scrape; yields "host:port"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = metrics().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the program that runs this has its own output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(LOOK_EVERY,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
