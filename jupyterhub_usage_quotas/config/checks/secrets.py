"""Secrets that are easy to guess, by zxcvbn's estimate."""

from __future__ import annotations

import re
from functools import lru_cache

SHORTEST = 16
"""Characters of a secret."""
GUESSES = 10**12
"""How many somebody would need at the least. For 16 random hexadecimal digits it is 10**16."""
OURS = ("jupyterhub", "jupyter", "hub", "usage", "quota", "quotas", "dashboard", "viewer")
LIKELY = (*OURS, "session", "secret", "cookie", "token", "key", "changeme", "replace", "secure")
"""What somebody who guesses tries first here, besides what is tried everywhere."""
LOOKED_AT = 32
"""Characters: so many random ones are enough, and zxcvbn takes time by the square of them."""
PARTS = 8
"""As many pieces of that length are looked at: random ones may come after a plain beginning."""
_EXAMPLES = (
    "a an and any at base be byte bytes change changeme characters correct battery bit bits cookie"
    " default demo dev development do dummy enter example for foo bar generate generated goes hex"
    " here horse hub i in insert is it jupyter jupyterhub key keys least long me must my need"
    " needs not of on openssl or password phrase placeholder please prod production put quota"
    " quotas rand random replace s safe salt secret secrets secure service session set should"
    " some something staple string super test testing text that the this to todo token truly use"
    " value very viewer with you your"
)
TO_BE_REPLACED = frozenset(_EXAMPLES.split())
"""The words of texts that stand in examples for a secret."""


@lru_cache(maxsize=8)
def easy_to_guess(secret: str) -> bool:
    """Whether a secret is one that somebody may try."""
    if len(secret) < SHORTEST:
        return True
    # It brings lists of words, which few processes need.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    # Who guesses all of it has guessed each part.
    parts = (secret[at * LOOKED_AT : (at + 1) * LOOKED_AT] for at in range(PARTS))
    return all(
        zxcvbn(part, user_inputs=list(LIKELY))["guesses"] < GUESSES for part in parts if part
    )


def is_an_example(secret: str) -> bool:
    """Whether a secret consists of the words with which examples stand for one: whoever has read
    where it was copied from knows it, however long it is.
    """
    words = re.findall(r"[a-z]+|[^\W_a-z]+", secret.lower())
    return bool(words) and all(one in TO_BE_REPLACED or one.isdigit() for one in words)
