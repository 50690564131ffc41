"""What messages repeat of what others wrote: one printable line of bounded length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.messages import LONGEST_REASON, said_by


@given(text=st.text(st.characters()) | st.just("x" * 100_000) | st.just("\ud800\n\x1b[31m"))
def test_whatever_an_exception_says_is_one_printable_line(text):
    said = said_by(ValueError(text))
    assert said.isprintable()
    assert len(said) <= LONGEST_REASON
    assert said.startswith("ValueError")


def test_what_is_said_is_not_changed_where_it_can_be_shown():
    assert said_by(LookupError("no such volume: é")) == "LookupError: no such volume: é"
    assert said_by(TimeoutError()) == "TimeoutError"


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_an_exception_that_cannot_be_shown_is_named():
    assert said_by(Mute()) == "Mute: it cannot say why"
