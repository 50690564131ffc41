"""What most users' servers are: a program that only answers, so that many run on a small machine.

It is started as `jupyterhub-singleuser` is, which takes seconds of both cores.
"""

from __future__ import annotations

import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    """Answers everything."""

    def do_GET(self) -> None:
        """As `/api` of a Jupyter server."""
        body = b'{"version": "2"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # Spawners of processes end it so; it has nothing to say of that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    where = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    ThreadingHTTPServer((where.hostname or "", where.port or 0), Handler).serve_forever()
