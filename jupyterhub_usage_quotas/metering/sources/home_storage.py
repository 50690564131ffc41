"""Home storage: the size of each home directory, and its limit.

It is exported by jupyterhub-home-nfs, or by prometheus-dirsize-exporter, which knows no limits.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import conventions as names
from ...quotas.resources import STORAGE
from .exported_gauge import ExportedGauge


def home_storage(
    namespaces: str,
    directory_of: Callable[[str], str],
    hint: str = "",
    *,
    sizes: str = names.HOME_SIZE,
    limits: str = names.HOME_LIMIT,
) -> ExportedGauge:
    """The source of home storage.

    `namespaces` is a matcher, empty for all; `directory_of` gives the name of a user's directory,
    and may raise UnicodeError. `hint` says what an admin should check where directories match no
    user; `sizes` and `limits` are the metrics of the exporter.
    """
    return ExportedGauge(
        "home storage",
        STORAGE.name,
        sizes,
        limits,
        "directory",
        namespaces,
        directory_of,
        "home directories",
        hint,
    )
