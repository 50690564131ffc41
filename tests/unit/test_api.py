"""What the package exports: all of it is there, documented, and costs nothing before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jupyterhub_usage_quotas
from jupyterhub_usage_quotas import errors
from tests.support.paths import ROOT

SOURCE = Path(jupyterhub_usage_quotas.__file__).read_text()
EXPORTED = jupyterhub_usage_quotas.__all__


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_exported_is_there(name):
    value = getattr(jupyterhub_usage_quotas, name)
    assert getattr(value, "__name__", name) == name
    assert name in dir(jupyterhub_usage_quotas)


def test_exactly_what_a_type_checker_sees_is_exported():
    """The imports that only type checkers run, by what they really import."""
    imported = {
        alias.asname or alias.name
        for node in ast.parse(SOURCE).body
        for one in ast.walk(node)
        if isinstance(one, ast.ImportFrom) and one.level
        for alias in one.names
    }
    assert imported == set(EXPORTED)
    assert len(EXPORTED) == len(imported)


def test_what_is_not_exported_is_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        jupyterhub_usage_quotas.nothing  # noqa: B018
    python("from jupyterhub_usage_quotas import *; Ledger, setup_usage_quotas, __version__")


def test_every_exception_is_exported():
    assert set(errors.__all__) <= set(EXPORTED)
    assert {"LaunchDenied", "InvalidPolicies", "InvalidQuantity"} <= set(EXPORTED)


def test_a_name_is_loaded_when_it_is_used():
    """A command that only says its version does not wait for JupyterHub."""
    heavy = "{'jupyterhub', 'kubespawner', 'httpx', 'sqlalchemy', 'pydantic'} & set(sys.modules)"
    code = f"import sys, jupyterhub_usage_quotas as q; q.__version__; print({heavy} or 'none')"
    assert python(code) == "none\n"
    code = f"import sys; from jupyterhub_usage_quotas import UsageQuotasError; print({heavy} or 0)"
    assert python(code) == "0\n"


def test_every_name_is_on_the_page_about_python():
    page = (ROOT / "docs/reference/python.md").read_text() + (errors.__doc__ or "")
    missing = [name for name in EXPORTED if name not in page]
    assert missing == []
