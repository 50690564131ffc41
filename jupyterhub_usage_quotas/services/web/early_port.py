"""A service's port, open and answering before the service is ready.

JupyterHub 5 ends when a service that it runs has not answered about ten seconds after its start.
On a busy machine the imports of a service alone can take longer. So the port is opened first: this
module imports the standard library only. Until `hand_over`, the service's own page says that it is
starting and loads itself again; everything else is answered with 503 and a `Retry-After`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")
BACKLOG = 128
LOOK_EVERY = 0.1
"""How often, in seconds, it checks whether the port was handed over."""
PATIENCE = 1.0
"""How long, in seconds, a client may take to send its whole request."""
LARGEST_REQUEST = 16_384
MOST_CLIENTS = 100
"""Beyond so many at once, the one that waits longest is dropped."""

_PAGE = (
    "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Starting</title>"
    "<p>The page is starting. It opens by itself in a moment.</p></html>"
)


def listening_address(url: str) -> tuple[str, int]:
    """The interface and the port of a service's URL; an empty interface for all.

    A name, for example that of a Kubernetes service, stands for no interface of this machine.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (parts.hostname if parts.hostname in LOOPBACK else "") or "", port


def listen(address: str, port: int) -> list[socket.socket]:
    """Sockets that listen on the address, one for each family, and do not block. Raises OSError."""
    found = socket.getaddrinfo(
        address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            with contextlib.suppress(OSError):
                # A system without IPv6 may name it all the same.
                sockets.append(_listener(family, kind, protocol, where))
        if not sockets:
            family, kind, protocol, _, where = found[0]
            sockets.append(_listener(family, kind, protocol, where))
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


def _listener(family: int, kind: int, protocol: int, where: object) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)  # type: ignore[arg-type]
        made.listen(BACKLOG)
        # An event loop accepts until nobody waits: a socket that blocks would hold it there.
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def _server_tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    """The context for TLS inside of the Hub, as `jupyterhub.utils.make_ssl_context` makes it: who
    connects has a certificate of the Hub's authority. Raises OSError.
    """
    key, certificate, authority = (
        environment.get(f"JUPYTERHUB_SSL_{name}", "")
        for name in ("KEYFILE", "CERTFILE", "CLIENT_CA")
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority or None)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    return context


@dataclass(slots=True)
class _Client:
    """A client, until when it may send its request, and what it has sent of it."""

    connection: socket.socket
    until: float
    head: bytes = b""

    def has_sent_it(self) -> bool:
        """Read what is there. Whether that is all: its headers have ended, or it has."""
        if isinstance(self.connection, ssl.SSLSocket):
            return self._has_sent_it_by(self.connection)
        return self._is_all(self.connection.recv(4096))

    def _has_sent_it_by(self, connection: ssl.SSLSocket) -> bool:
        """The same by TLS, which may have read more than it gave: no selector says so."""
        try:
            connection.do_handshake()
            while not self._is_all(connection.recv(4096)):
                pass
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        return True

    def _is_all(self, more: bytes) -> bool:
        self.head += more
        return not more or b"\r\n\r\n" in self.head or len(self.head) >= LARGEST_REQUEST


class EarlyPort:
    """Answers on the port of a service until it is handed over."""

    def __init__(
        self, sockets: list[socket.socket], prefix: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._sockets = sockets
        self._prefix = prefix
        self._tls = tls
        self._ready = threading.Event()
        self._clients: dict[int, _Client] = {}
        """By file descriptor, in the order in which they came."""
        self._waiting = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._answer_all, daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> EarlyPort | None:
        """The port that JupyterHub names in a service's environment.

        None where it names none, or one that cannot be opened now (the service tries again, and
        says what is wrong).
        """
        url = environment.get("JUPYTERHUB_SERVICE_URL", "")
        prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX", "")
        if not url.startswith(("http://", "https://")) or not prefix:
            return None
        try:
            tls = _server_tls(environment) if url.startswith("https://") else None
            return cls(listen(*listening_address(url)), prefix, tls)
        except (OSError, ValueError):
            return None

    def hand_over(self) -> list[socket.socket]:
        """Stop answering; the sockets, which listen on. Connections that wait are kept.

        Clients that have not sent their whole request yet do not delay it: they are answered.
        """
        self._ready.set()
        self._thread.join()
        for one in self._sockets:
            one.setblocking(False)
        return self._sockets

    def close(self) -> None:
        """Stop answering and listening."""
        for one in self.hand_over():
            one.close()

    def _answer_all(self) -> None:
        """Serve all clients side by side, so that none keeps another from an answer."""
        with self._waiting:
            for listener in self._sockets:
                self._waiting.register(listener, selectors.EVENT_READ)
            while not self._ready.is_set():
                for key, _ in self._waiting.select(LOOK_EVERY):
                    if isinstance(key.data, _Client):
                        self._read(key.data)
                    elif isinstance(key.fileobj, socket.socket):
                        self._accept(key.fileobj)
                now = time.monotonic()
                for client in [one for one in self._clients.values() if one.until < now]:
                    self._drop(client)
            for client in list(self._clients.values()):
                self._finish(client)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        if self._tls:
            try:
                connection = self._tls.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            except (OSError, ValueError):
                # It was gone before it began.
                connection.close()
                return
        client = _Client(connection, time.monotonic() + PATIENCE)
        self._clients[connection.fileno()] = client
        self._waiting.register(connection, selectors.EVENT_READ, client)
        if len(self._clients) > MOST_CLIENTS:
            self._drop(next(iter(self._clients.values())))

    def _read(self, client: _Client) -> None:
        try:
            if client.has_sent_it():
                self._finish(client)
        except OSError:
            self._drop(client)

    def _finish(self, client: _Client) -> None:
        """Answer what a client has sent, and be done with it."""
        with contextlib.suppress(OSError):
            # The answer is short: it fits into the buffer of any connection.
            client.connection.send(self._answer(client.head))
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._clients.pop(client.connection.fileno(), None)
        with contextlib.suppress(KeyError, ValueError):
            self._waiting.unregister(client.connection)
        client.connection.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        own_page = method in (b"GET", b"HEAD") and path.rstrip("/") == self._prefix.rstrip("/")
        status = "200 OK" if own_page else "503 Service Unavailable"
        more = "Refresh: 1" if own_page else "Retry-After: 1"
        body = _PAGE.encode()
        lines = (
            f"HTTP/1.1 {status}",
            more,
            "Content-Type: text/html; charset=utf-8",
            "Content-Security-Policy: default-src 'none'",
            "Cache-Control: no-store",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        headers = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return headers if method == b"HEAD" else headers + body
