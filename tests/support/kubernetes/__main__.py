"""Run it: `python -m tests.support.kubernetes --help`."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from .admission import admit
from .api import application
from .kubelet import Kubelet, Settings
from .store import Store


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    store = Store()
    for namespace in ("default", *options.namespace):
        store.create("namespaces", "", admit("namespaces", {"metadata": {"name": namespace}}))
    settings = Settings(options.scheduling_delay, annotations=options.annotation)
    kubelet = Kubelet(store, options.directory / "pods", settings, options.port)
    server = application(store, kubelet).listen(options.port, "127.0.0.1")
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    server.stop()
    await kubelet.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kubernetes")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True, help="for the files of pods")
    parser.add_argument("--namespace", action="append", default=[], help="to have; repeatable")
    parser.add_argument("--scheduling-delay", type=float, default=0.2, metavar="SECONDS")
    parser.add_argument(
        "--annotation",
        action="append",
        default=[],
        metavar="KEY",
        help="of pods, for kube-state-metrics to export (* for all); repeatable",
    )
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
