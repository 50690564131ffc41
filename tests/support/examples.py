"""How many examples Hypothesis looks at; the profiles are in `tests/conftest.py`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

FEW = settings(
    max_examples=settings.default.max_examples // 3,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""A third of what the profile has: for examples of which each starts a program or asks a server."""
