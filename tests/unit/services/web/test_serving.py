"""What all services share carries one that is not the viewer: served, asked, ended."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from jupyterhub import _xsrf_utils
from tornado.log import app_log

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.services.web.serving import OF_EVERY_LOGIN, set_up_logging
from tests.support.programs import free_port
from tests.support.visitor import PATIENCE

COMMAND = [sys.executable, "-m", "tests.support.small_service", "--config-files=a.py"]


@contextmanager
def started(port: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    """The service at a port, with more in its environment."""
    environment = {
        **os.environ,
        "JUPYTERHUB_API_TOKEN": "t",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        **more,
    }
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, "--config-files", "b.py"], env=environment, text=True, stdout=pipe, stderr=pipe
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def service() -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/services/small/"
    with (
        started(port) as process,
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as http,
    ):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            try:
                http.get("ready")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield process, http


def test_it_answers_refuses_and_ends(service):
    process, http = service
    assert http.get("ready").json() == {"ready": True}
    refused = http.get("ready?verbos=1")
    assert (refused.status_code, refused.json()["parameter"]) == (400, "verbos")
    assert "did you mean verbose?" in refused.json()["detail"]
    assert http.get("mine").status_code == 401
    assert http.get("elsewhere").json()["status"] == 404
    wrong = http.post("ready")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert output.splitlines() == ["files: a.py b.py", "background ended", "connections closed"]


def test_a_port_that_is_taken_is_said(service):
    _, http = service
    with started(http.base_url.port) as second:
        output, errors = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1
    assert errors.startswith(f"Cannot listen at http://127.0.0.1:{http.base_url.port}: ")
    assert "closed" not in output


def test_it_ends_although_its_hub_ended_before_it_was_ready():
    """Its parent never changes while it looks: that was another process from the beginning."""
    with subprocess.Popen([sys.executable, "-c", ""]) as hub:
        hub.wait()
    handed = {f"{conventions.ENV_HANDED_OVER}_0": "{}", conventions.ENV_HUB_PID: str(hub.pid)}
    with started(free_port(), **handed) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert output.splitlines()[-1] == "connections closed"


@pytest.mark.parametrize("begin", OF_EVERY_LOGIN)
def test_what_jupyterhub_logs_at_every_login_is_left_out_and_nothing_else(
    monkeypatch, caplog, begin
):
    assert begin in inspect.getsource(_xsrf_utils), "JupyterHub logs nothing like it"
    monkeypatch.setattr(app_log, "filters", [])
    set_up_logging()
    with caplog.at_level(logging.INFO):
        app_log.warning(f"{begin}%r", "t0ken")
        app_log.warning("xsrf id mismatch")
    assert [record.getMessage() for record in caplog.records] == ["xsrf id mismatch"]
