"""The demo before it starts: its ports, its folder, its profiles and what its users did."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from jupyterhub.utils import maybe_future
from traitlets.config import Config, PyFileConfigLoader

from jupyterhub_usage_quotas import conventions, demo
from jupyterhub_usage_quotas.commands import main
from jupyterhub_usage_quotas.demo.month import usage_of_a_month
from jupyterhub_usage_quotas.demo.run import Ports
from jupyterhub_usage_quotas.demo.spawner import LocalSpawnerWithProfiles
from jupyterhub_usage_quotas.hub.launch.request import offers_of, read_launch
from tests.support.hub_objects import hub_user
from tests.support.programs import STEP, Span
from tests.support.resources import with_gpus

ROOT = Path(__file__).parent.parent.parent.parent
GIB = 1024**3
NOW = 1_795_000_020
GPUS = with_gpus("nvidia.com/gpu")
USER = hub_user("ada")


def demo_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The demo on a machine without Prometheus or Node.js: it can start nothing at all."""
    command = [Path(sys.executable).with_name("jupyterhub-usage-quotas"), "demo", *arguments]
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("interface", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_said_before_anything_is_done(tmp_path: Path, interface: str):
    directory = tmp_path / "files"
    with socket.create_server((interface, 0)) as other:
        port = other.getsockname()[1]
        done = demo_command("--port", port, "--directory", directory)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"The demo could not start: port {port} of 127.0.0.1")
    assert "another program listens on it" in done.stderr
    assert "Traceback" not in done.stderr
    assert not directory.exists()
    # What it says can be done, can be: the other port is free.
    suggested = re.findall(r"make demo PORT=(\d+)", done.stderr)
    assert re.findall(r"--port (\d+)", done.stderr) == suggested
    socket.create_server(("127.0.0.1", int(suggested[0]))).close()
    assert port < int(suggested[0]) < port + 20


@pytest.mark.parametrize("taken", [True, False])
def test_make_says_it_before_anything_is_installed(tmp_path: Path, *, taken: bool):
    """With the Python of the machine, in a checkout in which nothing can be installed."""
    ports = Path("jupyterhub_usage_quotas/demo/ports.py")
    (tmp_path / ports.parent).mkdir(parents=True)
    for file in (Path("Makefile"), ports):
        shutil.copy(ROOT / file, tmp_path / file)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        if not taken:
            other.close()
        command = ["make", "demo", f"PORT={port}"]
        # By itself: the make that runs the tests has words of its own for one below it.
        alone = {name: value for name, value in os.environ.items() if "MAKE" not in name}
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, env=alone
        )
    assert done.returncode == 2
    said = f"The demo could not start: port {port} of 127.0.0.1 cannot be used: another program"
    assert done.stderr.startswith(said) is taken
    assert ("install-programs" in done.stderr) is not taken


def test_another_demo_in_the_same_folder_is_left_alone(tmp_path: Path):
    kept = tmp_path / "prometheus"
    kept.mkdir()
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = demo_command("--directory", tmp_path, "--port", free())
    assert done.returncode == 1
    assert done.stderr == (
        f"The demo could not start: another demo runs in {tmp_path}.\n"
        "Stop it, or choose another folder: --directory\n"
    )
    assert kept.exists()
    # A demo that was killed leaves the file, and nobody holds it.
    assert "is not installed" in demo_command("--directory", tmp_path, "--port", free()).stderr


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("wrong", ["0", "65536", "-1", "http", "8000.0", ""])
def test_a_port_that_is_none_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["demo", f"--port={wrong}"])
    assert ended.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert said.endswith(f"argument --port: got {wrong!r}; expected a number from 1 to 65535")


def test_all_ports_are_free_and_different():
    chosen = free()
    ports = Ports.around(chosen)
    every = [ports.jupyterhub, ports.hub, ports.proxy, ports.dashboard, ports.prometheus]
    assert every[0] == chosen
    assert len(set(every)) == len(every)
    for port in every:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_was_just_left_is_free():
    """Connections that were closed there are remembered for a while; the demo starts again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as browser:
            answering, _ = listener.accept()
            answering.close()  # the side that closes first remembers
            assert browser.recv(1) == b""
    assert Ports.around(port).jupyterhub == port


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "demo"),
        (["PORT=8123"], "demo --port '8123'"),
    ],
)
def test_make_passes_the_port_on(arguments: list[str], command: str):
    done = subprocess.run(
        ["make", "--dry-run", "demo", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert f".venv/bin/jupyterhub-usage-quotas {command}" in done.stdout.splitlines()


# --- profiles ------------------------------------------------------------------------------------

CHOICES = {
    "small": ({}, {"memory": 4 * GIB, "cpu": 1, "gpu": 0, "time": 1}),
    "large": ({}, {"memory": 16 * GIB, "cpu": 4, "gpu": 0, "time": 1}),
    "gpu": ({}, {"memory": 16 * GIB, "cpu": 4, "gpu": 1, "time": 1}),
    "own-size": (
        {"cpu": "8", "memory": "32"},
        {"memory": 32 * GIB, "cpu": 8, "gpu": 0, "time": 1},
    ),
}
"""What can be chosen in each profile, and what the server requests then."""


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    """The configuration of the demo's Hub."""
    folder = Path(demo.__file__).parent
    text = (folder / "jupyterhub_config.py").read_text()
    for name in re.findall(r"DEMO_\w+", text):
        monkeypatch.setenv(name, "8000" if name.endswith("PORT") else str(tmp_path))
    return PyFileConfigLoader("jupyterhub_config.py", str(folder)).load_config()


def spawner(config: Config, **options: str) -> LocalSpawnerWithProfiles:
    made = LocalSpawnerWithProfiles(config=config)
    made.user_options = options
    return made


@pytest.mark.parametrize("slug", CHOICES)
async def test_a_server_requests_what_its_profile_says(config: Config, slug: str):
    chosen, requests = CHOICES[slug]
    made = spawner(config, profile=slug, **chosen)
    launch = await read_launch(USER, made, GPUS)
    assert launch.request.profile == slug
    assert dict(launch.request.rates) == requests


async def test_every_profile_is_on_offer(config: Config):
    offers = [one for one in await offers_of(USER, spawner(config), GPUS) if one.selected]
    assert [one.request.profile for one in offers] == list(CHOICES)
    own_size = offers[-1]
    assert own_size.words == "CPUs: 1, Memory: 2 GiB"
    assert own_size.request.rates == {"memory": 2 * GIB, "cpu": 1, "gpu": 0, "time": 1}


async def test_the_form_begins_with_what_was_chosen_the_last_time(config: Config):
    form = await spawner(config, profile="gpu").get_options_form()
    assert re.findall(r'value="(\S+)"\s+checked', form) == ["gpu"]
    form = await spawner(config).get_options_form()
    assert re.findall(r'value="(\S+)"\s+checked', form) == ["small"]


async def test_what_is_in_the_form_is_what_the_server_gets(config: Config):
    made = spawner(config)
    data = {"profile": ["own-size"], "profile-option-own-size--cpu": ["2"]}
    made.user_options = await maybe_future(made.run_options_from_form(data))
    launch = await read_launch(USER, made, GPUS)
    assert launch.request.rates["cpu"] == 2
    assert launch.request.rates["memory"] == 2 * GIB  # the first choice, as the form shows it


# --- what its users did --------------------------------------------------------------------------


def servers() -> dict[tuple[str, str], list[Span]]:
    found: dict[tuple[str, str], list[Span]] = {}
    for span in usage_of_a_month(NOW):
        if span.metric == conventions.SERVER_REQUESTS:
            key = span.labels["username"], span.labels["resource"]
            found.setdefault(key, []).append(span)
    return found


def test_nobody_had_two_servers_of_one_name_at_once():
    for spans in servers().values():
        for one, other in combinations(spans, 2):
            assert one.end + 2 * STEP < other.start or other.end + 2 * STEP < one.start


def test_servers_requested_what_their_profiles_say():
    for (_, resource), spans in servers().items():
        for span in spans:
            assert span.value == CHOICES[span.labels["profile"]][1][resource]
            has_gpu = CHOICES[span.labels["profile"]][1]["gpu"] == 1
            assert span.labels["gpu"] == ("true" if has_gpu else "false")


def test_thirty_days_are_recorded():
    starts = [span.start for span in usage_of_a_month(NOW)]
    assert min(starts) == NOW - 30 * 86400
    assert all(NOW - 30 * 86400 <= span.start < span.end <= NOW for span in usage_of_a_month(NOW))
    assert len(servers()["bob", "memory"]) == 30
