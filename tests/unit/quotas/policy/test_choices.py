"""Selectors of what is chosen in a profile."""

from __future__ import annotations

import pytest

from jupyterhub_usage_quotas.quotas.policy.selector import (
    LONGEST_PROFILE,
    ServerAttributes,
    ServerSelector,
    marks_of,
)

LARGE = ServerAttributes("large/memory=mem_488/image=gpu-pytorch", "Large, shared")


@pytest.mark.parametrize(
    ("pattern", "selected"),
    [
        ("large/mem_488", True),
        ("large/memory=mem_488", True),
        ("large/image=*", True),
        ("*/mem_488", True),
        ("large/mem_*", True),
        # the profile with whatever is chosen
        ("large", True),
        ("Large, shared", True),
        ("lar*", True),
        # others
        ("large/mem_4", False),
        ("small/mem_488", False),
        ("large/image=mem_488", False),
        # a pattern of a profile is none of what is chosen in it
        ("mem_488", False),
        ("*gpu*", False),
    ],
)
def test_a_pattern(pattern, selected):
    assert ServerSelector(profile=[pattern]).selects(LARGE) is selected


@pytest.mark.parametrize("profile", ["a=b", "team/a", "team/a/x=y", ""])
def test_slugs_with_such_characters(profile):
    slug = {"team/a/x=y": "team/a"}.get(profile, profile)
    assert ServerAttributes(profile).slug == slug
    if slug:
        assert ServerSelector(profile=[slug]).selects(ServerAttributes(profile))


def test_a_server_without_profile_is_selected_by_none():
    assert not ServerSelector(profile=["*/*", "*"]).selects(ServerAttributes())


@pytest.mark.parametrize("bad", ["a/b", "a=b", "a\nb", "a\ud800"])
def test_what_cannot_be_written_is_left_out(bad):
    assert marks_of({"memory": "big", "image": bad}) == ("memory=big",)
    assert marks_of({"memory": "big", bad: "x"}) == ("memory=big",)


def test_it_has_a_bound():
    marks = marks_of({f"option {number}": "x" * 40 for number in range(100)}, "slug")
    assert 0 < len("/".join(["slug", *marks])) <= LONGEST_PROFILE
