"""Secrets that are easy to guess: words, keys in a row, and the same again and again."""

from __future__ import annotations

import re
from itertools import pairwise

SHORTEST = 16
"""Characters of a secret."""
HARD_TO_GUESS = 7
"""How many of them must not follow from those before, where a common word counts as one. Of 16
random hexadecimal digits about 13 do not.
"""

_WORDS = re.compile(
    "password|passwort|passwd|passphrase|jupyterhub|jupyter|hub|notebook|session|secret|cookie|token"
    "|quotas?|usage|viewer|dashboard|changeme|change|replace|insert|default|example|sample|test(ing)?"
    "|demo|please|your|this|the|with|here|admin(istrator)?|root|user|login|letmein|welcome|iloveyou"
    "|secure|use|monkey|dragon|sunshine|football|baseball|princess|master|shadow|super|secure|random|string"
    "|production|staging|development|value|long|text|key|todo|foo|bar|baz|none|null|true|false|my|me"
)
_MARKS = 0xE000
"""Where the characters begin that stand for nothing."""
_LOOKS_LIKE = str.maketrans("@013$5!7", "aoiessit")
"""Letters that are often written as something else."""
_ROWS = ("qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890")
_IN_A_ROW = {pair for row in _ROWS for way in (row, row[::-1]) for pair in pairwise(way)}


def easy_to_guess(secret: str) -> bool:
    """Whether a secret is one that somebody may try."""
    return len(secret) < SHORTEST or _surprises(_in_words(_once(secret))) < HARD_TO_GUESS


def _once(text: str) -> str:
    """What a text repeats, or the text itself."""
    for length in range(1, len(text) // 2 + 1):
        if all(one == text[index % length] for index, one in enumerate(text)):
            return text[:length]
    return text


def _in_words(text: str) -> str:
    """A text with one mark for each common word, however its letters are written, and without
    what stands between words.
    """
    left = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
    marks: dict[str, str] = {}
    for read in (lambda written: written.translate(_LOOKS_LIKE), str):
        for found in reversed(list(_WORDS.finditer(read(left)))):
            mark = marks.setdefault(found[0], chr(_MARKS + 2 * len(marks)))
            left = left[: found.start()] + mark + left[found.end() :]
    return re.sub(r"[-\s_.]", "", left)


def _surprises(text: str) -> int:
    """How many characters differ from all before, or follow neither in the alphabet nor on a
    keyboard from the one before.
    """
    return len(text[:1]) + sum(
        abs(ord(after) - ord(before)) > 1 and (before, after) not in _IN_A_ROW
        for before, after in pairwise(text)
    )
