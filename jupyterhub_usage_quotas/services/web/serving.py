"""How a service runs: its command line and log, the HTTP server, and how it ends."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
import secrets
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from .early_port import EarlyPort, listen
from .environment import ServiceEnvironment

WRONG_CONFIGURATION = 2
"""The exit code of a service that cannot start as it is configured."""
CANNOT_LISTEN = 1
SECONDS_WITHOUT_HUB = 2
LARGEST_BODY = 64 * 1024
"""Bytes of a request's body; no handler reads one."""
SECONDS_FOR_A_REQUEST = 10
SECONDS_IDLE = 300
"""How long a connection may be kept without a request: longer than a page takes to ask again."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is ready to be served.

    `background` runs while it is served; `closing` closes its connections afterwards.
    """

    application: Application
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    closing: Sequence[Callable[[], Awaitable[None]]] = ()

    async def aclose(self) -> None:
        """Close its connections."""
        for close in self.closing:
            await close()


def add_config_files(parser: argparse.ArgumentParser) -> None:
    """Let a service's command line name configuration files: `config_files`, a list of `Path`."""
    parser.add_argument(
        "--config-files",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a configuration file; may be given several times, later files take precedence",
    )


def set_up_logging() -> None:
    """Log to standard error, where the Hub or Kubernetes picks it up."""
    form = "[%(levelname)s %(asctime)s %(name)s] %(message)s"
    logging.basicConfig(level=logging.INFO, format=form)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("tornado.application").addFilter(_is_not_of_every_login)


OF_EVERY_LOGIN = ("Setting new xsrf cookie for ", "Skipping XSRF check for insecure request ")
"""How lines begin that JupyterHub logs at every login, one of them with the token, and at every
page over HTTP. What changes anything is checked all the same.
"""


def _is_not_of_every_login(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(OF_EVERY_LOGIN)


def run(
    make: Callable[[], Service],
    around: ServiceEnvironment,
    log: logging.Logger,
    early: EarlyPort | None = None,
) -> int:
    """Serve until the process is asked to end; returns the exit code.

    The service is made inside of the event loop that serves it. `early` is its port, where that
    was opened before.
    """
    try:
        asyncio.run(_serve(make, around, log, early))
    except OSError as error:
        sys.stderr.write(f"Cannot listen at {around.url}: {error}\n")
        return CANNOT_LISTEN
    return 0


def make_server(service: Service, tls: ssl.SSLContext | None = None) -> HTTPServer:
    """The HTTP server of a service: a stranger cannot make it hold much, or for long."""
    return HTTPServer(
        service.application,
        # Behind the Hub's proxy: it says which address a request came from, by which protocol.
        xheaders=True,
        ssl_options=tls,
        max_body_size=LARGEST_BODY,
        body_timeout=SECONDS_FOR_A_REQUEST,
        idle_connection_timeout=SECONDS_IDLE,
    )


async def _serve(
    make: Callable[[], Service],
    around: ServiceEnvironment,
    log: logging.Logger,
    early: EarlyPort | None,
) -> None:
    service = make()
    server = make_server(service, around.server_tls)
    address, port = around.listen_on
    server.add_sockets(early.hand_over() if early else listen(address, port))
    log.info("%s is served at %s, listening on %s:%d", around.name, around.prefix, address, port)
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_end.set)
    tasks = [asyncio.create_task(one()) for one in service.background]
    if around.managed:
        tasks.append(asyncio.create_task(_end_with_hub(asked_to_end, around.hub_pid)))
    await asked_to_end.wait()
    server.stop()
    for task in tasks:
        task.cancel()
    if tasks:
        # Connections are closed when these have ended: they may be querying Prometheus just now.
        await asyncio.wait(tasks)
    await service.aclose()


async def _end_with_hub(asked_to_end: asyncio.Event, hub: int | None) -> None:
    """End when the Hub that runs this ended without stopping it, and keep no port from the next.

    The Hub may have ended while this process was starting, so its process id counts where the Hub
    said it; else the parent as it is now.
    """
    parent = os.getppid()
    # Nothing tells a process that another one ended.
    while os.getppid() == parent and (hub is None or _runs(hub)):  # noqa: ASYNC110
        await asyncio.sleep(SECONDS_WITHOUT_HUB)
    asked_to_end.set()


def _runs(process: int) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def make_application(
    routes: Sequence[tuple[Any, ...]], *, session_secret: str = "", **settings: Any
) -> Application:
    """The application with these routes. Sessions outlast a restart if there is a secret."""
    key = session_secret.encode()
    return Application(
        [*routes],
        # Cookies are signed with it: the same key for the same secret, else a new one each time.
        cookie_secret=hashlib.sha256(key).digest() if key else secrets.token_bytes(32),
        log_function=_log_request,
        **settings,
    )


def _log_request(handler: RequestHandler) -> None:
    """Log only internal failures; without parameters, which may name the user of a search."""
    if handler.get_status() >= 500:  # noqa: PLR2004
        request = handler.request
        logging.getLogger("tornado.access").warning(
            "%d %s %s", handler.get_status(), request.method, request.path
        )
