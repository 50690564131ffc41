"""The tutorials, followed: their own snippets, in real Hubs, until the first denial and on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.documentation import snippets
from tests.support.hub import Hub
from tests.support.kubernetes.cluster import running_cluster
from tests.support.programs import free_port, start_prometheus
from tests.support.tutorials import (
    NAMESPACE,
    PROMETHEUS,
    THE_LITTLEST_JUPYTERHUB,
    ZERO_TO_JUPYTERHUB,
    allowed_annotations,
    checks,
    reloaded,
    run_check,
    shape,
    upgraded,
)
from tests.support.visitor import Visitor, text_of

pytestmark = pytest.mark.waits
DENIED = 3


def shown(page: Path, beginning: str) -> str:
    """What a page says that one sees: the block that begins so."""
    (found,) = (
        one.text
        for one in snippets(page)
        if one.language == "text" and one.text.startswith(beginning)
    )
    return found


def logged(page: Path, part: str) -> str:
    """A line that a page says to be in the log."""
    (found,) = (
        line
        for one in snippets(page)
        if one.language == "console"
        for line in one.text.splitlines()
        if part in line and not line.startswith("$")
    )
    return found.partition("] ")[2]


def limits_shown(visitor: Visitor) -> dict[str, tuple[float, str]]:
    """The limits on a user's dashboard, by policy."""
    page = visitor.http.get("/services/usage-quota/")
    assert page.is_success, text_of(page)
    answer = visitor.http.get("/services/usage-quota/api/v1/me").json()
    return {one["policy"]: (one["limit"], one["unit"]) for one in answer["verdicts"]}


QUICKER = "\nc.UsageConfig.refresh_interval = c.UsageConfig.session_heartbeat = 3\n"
"""What is waited for is samples, not the Hub's next look at them."""


def says(page: Path, number: int, config: Path, version: str) -> int:
    """Run a `check` that a page shows, which must print what is shown there; the exit code."""
    arguments, expected = checks(page)[number]
    code, output = run_check(arguments, config, version)
    assert shape(output) == shape(expected)
    return code


def is_denied(page: Path, visitor: Visitor) -> None:
    """Start a server, which must be denied with what the page shows."""
    denied = visitor.start()
    assert denied.status_code == 429
    assert shape(shown(page, "You have used up")) in shape(text_of(denied))


def run_dry(hub: Hub, user: str) -> Visitor:
    """A user whose server ran until one GiB-minute was used, as the Hub knows from Prometheus."""
    visitor = Visitor(hub.url, user)
    visitor.start()
    visitor.wait_until_ready()
    used = "jupyterhub_usage_quotas_used"
    Visitor.wait_until(lambda: hub.metric(used, username=user) >= 1024**3 / 60)
    visitor.stop()
    return visitor


@pytest.mark.parametrize("version", ["5"])  # the chart's
def test_zero_to_jupyterhub(version, tmp_path):
    page = ZERO_TO_JUPYTERHUB
    directory, config = tmp_path / "hub", tmp_path / "hub/jupyterhub_config.py"
    with ExitStack() as stack:
        cluster = stack.enter_context(
            running_cluster(tmp_path / "cluster", [NAMESPACE], allowed_annotations())
        )
        cluster.create_pod(NAMESPACE, "hub-6d5f8c9b7d-x2x4z")
        prometheus, url = start_prometheus(tmp_path, [cluster.scrape_config], scrape_interval="1s")
        stack.enter_context(prometheus)
        small = ["quotas.yaml"]
        with upgraded(directory, version, cluster, url, small, more=QUICKER) as hub:
            assert logged(page, "Usage quotas: ").replace(PROMETHEUS, url) in hub.program.output()
            Visitor(hub.url, "alice")  # who has logged in is a user of the Hub
            Visitor.wait_until(
                lambda: hub.metric("jupyterhub_usage_quotas_history_coverage_ratio") > 0
            )
            assert says(page, 0, config, version) == 0
            is_denied(page, run_dry(hub, "alice"))
            assert says(page, 1, config, version) == DENIED
        real = [*small, "limits.yaml", "dashboard.yaml"]
        viewer = {"http://hub:9000": f"http://127.0.0.1:{free_port()}"}
        with upgraded(directory, version, cluster, url, real, viewer, QUICKER) as hub:
            alice = Visitor(hub.url, "alice")
            alice.start()
            alice.wait_until_ready()
            assert limits_shown(alice) == {"memory-week": (500, "GiB-hours")}
            assert "services/usage-quota" in alice.http.get("/hub/home").text
            admin = Visitor(hub.url, "admin")
            assert "alice" in text_of(admin.http.get("/services/usage-quota/users"))
            alice.stop()


@pytest.mark.parametrize("version", ["5"])  # the tutorial's
def test_the_littlest_jupyterhub(version, tmp_path):
    page = THE_LITTLEST_JUPYTERHUB
    directory, config = tmp_path / "hub", tmp_path / "hub/jupyterhub_config.py"
    (before, _), (after, _) = checks(page)
    replaced = {"http://127.0.0.1:9000": f"http://127.0.0.1:{free_port()}"}
    with reloaded(directory, version, replaced, QUICKER) as hub:
        assert logged(page, "Usage quotas: ") in hub.program.output()
        alice = Visitor(hub.url, "alice")
        Visitor.wait_until(lambda: run_check(before, config, version)[0] == 0)
        assert says(page, 0, config, version) == 0
        alice.start()
        alice.wait_until_ready()
        # `check` knows what the Hub wrote last, which was told to do so every few seconds.
        Visitor.wait_until(lambda: run_check(after, config, version)[0] == DENIED)
        alice.stop()
        is_denied(page, alice)
        assert says(page, 1, config, version) == DENIED
    real = list(snippets(page))[-2]
    assert real.language == "python"
    limits = "\nc.Spawner.mem_limit = '2G'\nc.Spawner.cpu_limit = 1\n"  # of tljh-config
    more = QUICKER + real.text + limits
    with reloaded(directory, version, replaced, more) as hub:
        alice = Visitor(hub.url, "alice")
        alice.start()
        alice.wait_until_ready()
        shown_limits = limits_shown(alice)
        assert shown_limits["memory-week"] == (100, "GiB-hours")
        assert shown_limits.keys() == {"memory-week", "time-week"}
        alice.stop()
