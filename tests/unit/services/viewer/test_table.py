"""What a request asks the table of all users for."""

from __future__ import annotations

import pytest

from jupyterhub_usage_quotas.services.viewer.table import Page
from jupyterhub_usage_quotas.services.web.params import BadParameter, Query


def state_of(given: str | None) -> str:
    return Page.of(Query({"state": given}.get)).filter.state


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (None, ""),
        ("", ""),
        ("exhausted", "exhausted"),
        ("low", "low"),
        ("unknown", "unknown"),
        ("ok", "ok"),
        ("none", "none"),
        # What they were called earlier.
        ("over", "exhausted"),
        ("soon", "low"),
        ("within", "ok"),
    ],
)
def test_states_and_their_earlier_words(given, state):
    assert state_of(given) == state


def test_another_word_is_refused_with_those_of_today():
    with pytest.raises(BadParameter, match="exhausted, low, unknown, ok, none") as refused:
        state_of("fine")
    assert "over" not in str(refused.value)
