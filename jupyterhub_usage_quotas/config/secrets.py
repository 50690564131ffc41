"""Secrets that are easy to guess: words, keys in a row, and the same again and again."""

from __future__ import annotations

import re
from itertools import pairwise

SHORTEST = 16
"""Characters of a secret."""
HARD_TO_GUESS = 7
"""How many of them must neither belong to a common word nor follow from those before. Of 16 random
hexadecimal digits about 13 do.
"""

_WORDS = re.compile(
    "password|passwort|passwd|passphrase|jupyterhub|jupyter|hub|notebook|session|secret|cookie|token"
    "|quotas?|usage|viewer|dashboard|changeme|change|replace|insert|default|example|sample|test(ing)?"
    "|demo|please|your|this|the|with|here|admin(istrator)?|root|user|login|letmein|welcome|iloveyou"
    "|secure|use|monkey|dragon|sunshine|football|baseball|princess|master|shadow|super|secure|random|string"
    "|production|staging|development|value|long|text|key|todo|foo|bar|baz|none|null|true|false|my|me"
)
_LOOKS_LIKE = str.maketrans("@013$5!7", "aoiessit")
"""Letters that are often written as something else."""
_ROWS = ("qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890")
_IN_A_ROW = {pair for row in _ROWS for way in (row, row[::-1]) for pair in pairwise(way)}


def easy_to_guess(secret: str) -> bool:
    """Whether a secret is one that somebody may try."""
    return len(secret) < SHORTEST or _surprises(_without_words(_once(secret))) < HARD_TO_GUESS


def _once(text: str) -> str:
    """What a text repeats, or the text itself."""
    for length in range(1, len(text) // 2 + 1):
        if all(one == text[index % length] for index, one in enumerate(text)):
            return text[:length]
    return text


def _without_words(text: str) -> str:
    """A text without common words, however their letters are written."""
    lower = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
    for written in (lower.translate(_LOOKS_LIKE), lower):
        spans = [found.span() for found in _WORDS.finditer(written)]
        for start, end in reversed(spans):
            lower = lower[:start] + lower[end:]
        if spans:
            return _without_words(lower)
    return lower


def _surprises(text: str) -> int:
    """How many characters differ from all before, or follow neither in the alphabet nor on a
    keyboard from the one before.
    """
    return len(text[:1]) + sum(
        abs(ord(after) - ord(before)) > 1 and (before, after) not in _IN_A_ROW
        for before, after in pairwise(text)
    )
