"""Every room says at its door what lives there and what must not."""

from __future__ import annotations

import ast

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "jupyterhub_usage_quotas"
ROOMS = sorted(
    path
    for path in PACKAGE.rglob("__init__.py")
    if path.parent != PACKAGE and "migrations" not in path.parts
)


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.parent.relative_to(PACKAGE)))
def test_the_first_lines_say_what_lives_in_a_room_and_what_must_not(room):
    said = " ".join((ast.get_docstring(ast.parse(room.read_text())) or "").split())
    assert "What lives here: " in said
    assert "What must not: " in said
