"""What holds for every test: its surroundings, how thoroughly it looks, and when it runs.

A program that is missing is an error, never a skip.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from httpx._transports import default as transports
from hypothesis import settings

from tests.support.order import InGroups, in_order, told_apart
from tests.support.paths import ROOT
from tests.support.recorded import serve_history
from tests.support.recorded_hub import hub, recorded

__all__ = ["hub", "recorded", "serve_history"]

os.environ["PATH"] = f"{ROOT / '.tools/node_modules/.bin'}:{os.environ['PATH']}"
os.environ["KUBECONFIG"] = str(ROOT / "tests/data/kubeconfig.yaml")
# Much of what a Prometheus does is to collect garbage, and tests have memory.
os.environ["GOGC"] = "400"
# Programs that are started many times are compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Every client of HTTP would read all certificates of the world first, and there are thousands.
transports.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]
for _variable in list(os.environ):
    # What the machine has set must not reach the configuration under test.
    if _variable.startswith("JUPYTERHUB_") or _variable.lower().endswith("_proxy"):
        del os.environ[_variable]

# How long an example takes says more about the machine than about the code.
for _profile, _examples in {"dev": 25, "ci": 60, "nightly": 1000}.items():
    settings.register_profile(_profile, deadline=None, max_examples=_examples)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests into the order in which workers are done the soonest."""
    told_apart(items)
    items[:] = in_order(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InGroups:
    """Keep tests together that share what is slow to start."""
    return InGroups(config, log)


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    """Programs configure the loggers of their process; no other test must see that."""
    before = {
        one: (one.level, one.disabled, one.propagate, [*one.handlers])
        for one in (logging.root, *_loggers())
    }
    yield
    for logger in _loggers():
        if logger not in before:
            logger.setLevel(logging.NOTSET)
            logger.disabled, logger.propagate = False, True
            logger.handlers[:] = []
    for logger, (level, disabled, propagate, handlers) in before.items():
        if logger.level != level:
            logger.setLevel(level)
        logger.disabled, logger.propagate, logger.handlers[:] = disabled, propagate, handlers


def _loggers() -> list[logging.Logger]:
    return [
        one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)
    ]
