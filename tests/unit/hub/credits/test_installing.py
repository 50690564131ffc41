"""`import jupyterhub_credit_service`: the names that configurations use, and whose they are."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from jupyterhub.auth import Authenticator
from jupyterhub.spawner import Spawner

from jupyterhub_usage_quotas.hub.credits import installing


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch):
    """Imports it anew, with these distributions that own it."""

    def again(*owners: str):
        monkeypatch.setattr(
            installing, "packages_distributions", lambda: {"jupyterhub_credit_service": owners}
        )
        sys.modules.pop("jupyterhub_credit_service", None)
        return importlib.import_module("jupyterhub_credit_service")

    yield again
    sys.modules.pop("jupyterhub_credit_service", None)


@pytest.mark.parametrize("owners", [(), ("jupyterhub-usage-quotas",), ("jupyterhub_usage_quotas",)])
def test_it_has_what_configurations_use(imported, owners):
    package = imported(*owners)
    assert issubclass(package.CreditsAuthenticator, Authenticator)
    assert issubclass(package.CreditsSpawner, Spawner)
    (folder,) = package.template_paths
    assert (Path(folder) / "page.html").is_file()


def test_beside_the_credit_service_it_is_refused_with_the_cure(imported):
    with pytest.raises(ImportError) as refused:
        imported("jupyterhub-credit-service", "jupyterhub-usage-quotas")
    assert "pip uninstall jupyterhub-credit-service" in str(refused.value)
