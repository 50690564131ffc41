"""Secrets that are easy to guess, by zxcvbn's estimate."""

from __future__ import annotations

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


@lru_cache(maxsize=8)
def easy_to_guess(secret: str) -> bool:
    """Whether a secret is one that somebody may try."""
    if len(secret) < SHORTEST:
        return True
    # It brings lists of words, which few processes need.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    found = zxcvbn(secret[:LOOKED_AT], user_inputs=list(LIKELY))
    return bool(found["guesses"] < GUESSES)
