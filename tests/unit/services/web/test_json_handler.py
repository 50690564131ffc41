"""Models as text, whatever names are made of."""

from __future__ import annotations

import json

import pytest

from jupyterhub_usage_quotas.services.viewer.api.models import Server
from jupyterhub_usage_quotas.services.web.json_handler import as_json


@pytest.mark.parametrize("name", ["work", "ü €", "\ud800", '"</script>\\\n\x00', "x" * 300])
def test_a_name_comes_back_as_it_was(name):
    given = {"name": name, "profile": "", "profile_name": name, "gpu": True}
    assert json.loads(as_json(Server(**given))) == given
