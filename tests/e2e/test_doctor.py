"""`doctor` beside real Hubs, run by the Hub's own Python as `kubectl exec` would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.doctor import doctor, statuses
from tests.support.hub import Hub, launch, write_config
from tests.support.programs import free_port
from tests.support.recorded_hub import Recorded, quotas

DECLARED = """
c.JupyterHub.services = [{{"name": "usage-quota", "url": "http://127.0.0.1:{port}",
                           "oauth_client_id": "service-usage-quota", "api_token": "t" * 32,
                           "timeout": 1}}]
"""


@contextmanager
def hub_of(directory: Path, version: str, config: str) -> Iterator[tuple[Hub, Path]]:
    port = free_port()
    path = write_config(directory, version, config, port)
    with launch(directory, version, path) as program:
        program.wait_for_url(f"http://127.0.0.1:{port}/hub/health")
        yield Hub(f"http://127.0.0.1:{port}", program, version), path


def test_beside_a_hub_that_is_well(hub: Hub) -> None:
    hub.program.wait_for_url(f"{hub.url}/services/usage-quota/api/v1/openapi.json")
    found = doctor(hub.version, hub.program.log.parent / "jupyterhub_config.py")
    assert (
        statuses(found, "configuration", "enforced", "denials", "prometheus", "clock") == ["ok"] * 5
    )
    assert statuses(found, "service", "network", "groups") == ["ok"] * 4
    said = " ".join(one["says"] for one in found["network"])
    assert "the Hub answers at http://127.0.0.1:" in said
    assert "through the proxy" in said
    assert found["denials"][0]["says"].startswith(f"JupyterHub {hub.version}.")


def test_a_dashboard_that_does_not_answer(recorded: Recorded, tmp_path: Path) -> None:
    port = free_port()
    with hub_of(tmp_path, "6", quotas(recorded) + DECLARED.format(port=port)) as (_, path):
        found = doctor("6", path)
    assert statuses(found, "network") == ["ok", "failed"]
    assert f"does not answer at http://127.0.0.1:{port}" in found["network"][1]["says"]


def test_a_dashboard_that_the_proxy_cannot_reach(recorded: Recorded, tmp_path: Path) -> None:
    """It listens where the configuration says, and the proxy of this Hub is told another place."""
    port = free_port()
    there = f"{quotas(recorded)}\nc.UsageViewer.url = 'http://127.0.0.1:{port}'"
    elsewhere = quotas(recorded) + DECLARED.format(port=free_port())
    with (
        hub_of(tmp_path / "there", "6", there) as (hub, _),
        hub_of(tmp_path / "here", "6", elsewhere) as (_, path),
    ):
        hub.program.wait_for_url(
            f"http://127.0.0.1:{port}/services/usage-quota/api/v1/openapi.json"
        )
        path.write_text(path.read_text() + DECLARED.format(port=port))
        found = doctor("6", path)
    assert statuses(found, "network") == ["ok", "failed"]
    assert "but does not answer through the proxy (HTTP 503)" in found["network"][1]["says"]
    assert "c.UsageViewer.url" in found["network"][1]["cure"]
