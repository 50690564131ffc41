"""`python -m tests.support.small_service`: the least service there can be on `services/web`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from jupyterhub_usage_quotas.services.web.environment import ServiceEnvironment
from jupyterhub_usage_quotas.services.web.handler import AppContext
from jupyterhub_usage_quotas.services.web.hub_api import HubClient
from jupyterhub_usage_quotas.services.web.json_handler import JsonHandler, NoJson
from jupyterhub_usage_quotas.services.web.openapi import Operation, Parameter
from jupyterhub_usage_quotas.services.web.serving import (
    Service,
    add_config_files,
    make_application,
    run,
)


class Ready(JsonHandler):
    """For everybody, with a parameter."""

    needs_login = False
    operation = Operation(
        "ready", "/ready", "Whether it is ready", None, (Parameter("verbose", "more", {}),)
    )

    def get(self) -> None:
        self.answer({"ready": True})


class Mine(JsonHandler):
    """For who is logged in."""

    def get(self) -> None:
        self.answer({})


async def background() -> None:
    """Runs until it is cancelled."""
    try:
        await asyncio.Event().wait()
    finally:
        print("background ended", flush=True)


async def close() -> None:
    print("connections closed", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="small_service", description="A small service.")
    add_config_files(parser)
    print("files:", *parser.parse_args().config_files, flush=True)
    around = ServiceEnvironment.of(os.environ, "small")

    def make() -> Service:
        hub = HubClient(around.api_url, around.api_token)
        given = {"context": AppContext(around.oauth(), hub, logging.getLogger("small"), {})}
        handlers = [("ready", Ready), ("mine", Mine), (".*", NoJson)]
        routes = [(around.prefix + path, handler, given) for path, handler in handlers]
        return Service(make_application(routes), [background], [close, hub.aclose])

    return run(make, around, logging.getLogger("small"))


if __name__ == "__main__":
    sys.exit(main())
