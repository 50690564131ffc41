"""Outside text in queries: read back by an independent reader of Go's string literals."""

from __future__ import annotations

import ast
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.metering.client import promql
from jupyterhub_usage_quotas.metering.sources.pod_usage import PodUsage
from tests.support.resources import with_gpus


def unquoted(literal: str) -> str:
    """Python reads the escapes that are used the way Go does."""
    assert literal.startswith('"')
    assert literal.endswith('"')
    assert "\n" not in literal
    value = ast.literal_eval(literal)
    assert isinstance(value, str)
    return value


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_literal_stands_for_exactly_the_text(text):
    assert unquoted(promql.quote(text)) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_pattern_matches_the_name_and_nothing_else(name):
    matcher = promql.one_of("pod", [name])
    pattern = unquoted(matcher.removeprefix("pod=~"))
    assert re.fullmatch(pattern, name, flags=re.DOTALL)
    assert not re.fullmatch(pattern, name + "x", flags=re.DOTALL)


def test_a_lone_surrogate_is_refused():
    with pytest.raises(promql.InvalidText):
        promql.quote("\udc80")


@pytest.mark.parametrize(
    ("label", "resource"),
    [
        ("memory", "memory"),
        ("cpu", "cpu"),
        ("nvidia_com_gpu", "gpu"),
        ("nvidia_com_mig_1g_5gb", "gpu"),
        ("amd_com_gpu", ""),
        ("ephemeral_storage", ""),
        ("", ""),
    ],
)
def test_what_kube_state_metrics_calls_a_resource(label, resource):
    counted = with_gpus("nvidia.com/gpu", "nvidia.com/mig-*")
    assert PodUsage(counted, timedelta(0), ()).kind(label) == resource
