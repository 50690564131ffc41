"""Checks of names and patterns: texts that no name can have, patterns that can match nothing."""

from __future__ import annotations

import fnmatch
import re
import unicodedata

_LINE_BREAKS_AND_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""The categories of characters that end a line, steer a terminal, or are halves of others."""


def cannot_be_written(text: str) -> bool:
    """Whether a text has halves of characters (lone surrogates), which no file or metric holds."""
    return any(unicodedata.category(one) == "Cs" for one in text)


def not_on_one_line(text: str) -> bool:
    """Whether a text has characters that no name in a log or a metric should have."""
    return any(unicodedata.category(one) in _LINE_BREAKS_AND_CONTROLS for one in text)


def matches_everything(pattern: str) -> bool:
    """Whether a pattern of file names matches every name."""
    return set(pattern) in ({"*"}, {"*", "?"}) and pattern.count("?") <= 1


def is_a_pattern(text: str) -> bool:
    """Whether a text has characters that mean something in patterns of file names."""
    return any(one in text for one in "*?[")


_CLOSES = {")": "(", "]": "[", "}": "{"}
_TEXT = re.compile(r"""\"(\\.|[^"\\])*"|'(\\.|[^'\\])*'|`[^`]*`|#[^\n]*""", re.DOTALL)
"""Texts in quotes, and comments."""


def unclosed(promql: str) -> str:
    """The first quote or bracket of an expression that has no other end; empty where all have."""
    opened: list[str] = []
    for one in _TEXT.sub("", promql):
        if one in "\"'`" or (one in _CLOSES and (not opened or opened.pop() != _CLOSES[one])):
            return one
        if one in _CLOSES.values():
            opened.append(one)
    return opened[-1] if opened else ""


def broken(pattern: str) -> str:
    """Why a pattern of file names cannot match what was meant; empty where it can."""
    if not pattern:
        return "empty pattern"
    if cannot_be_written(pattern):
        return "pattern with characters that no text can have"
    # What `fnmatch` makes of a range that ends before it begins.
    if "(?!)" in fnmatch.translate(pattern):
        return "pattern with an empty range"
    return "pattern with a [ that no ] closes" if _unclosed(pattern) else ""


def _unclosed(pattern: str) -> bool:
    at = pattern.find("[")
    while at >= 0:
        first = at + 1 + pattern.startswith("!", at + 1)
        end = pattern.find("]", first + 1)
        if end < 0:
            return True
        at = pattern.find("[", end)
    return False
