"""An authenticator's options about credits, put into the configuration as options of ours, so that
every process that reads it has the same policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traitlets import HasTraits
from traitlets.config import Config

from ...errors import ConfigurationError
from ..files.earlier import MANAGER
from ..sessions import SESSIONS
from ..usage import UsageConfig
from .options import OPTION
from .traits import USUAL_TASK_INTERVAL
from .written import Written, written_in


def apply_credits(authenticator: Any, spawner: Any, config: Config) -> Written | None:
    """Set the options that classes with credits stand for; returns what is written there, None
    where they have none. Raises `ConfigurationError`.
    """
    if not isinstance(authenticator, type) or not issubclass(authenticator, HasTraits):
        return None
    billing = spawner if isinstance(spawner, type) else object
    written = written_in(authenticator, billing, config)
    if written is None:
        return None
    _refuse_both(config)
    config[MANAGER][OPTION] = written.option
    shared = config[UsageConfig.__name__]
    if "usage_source" not in shared:
        shared.usage_source = SESSIONS
    elif written.option["billed"] and shared.usage_source != SESSIONS:
        raise ConfigurationError(
            [
                f"{UsageConfig.__name__}.usage_source: only {SESSIONS!r} knows what servers cost"
                f" whose spawner has a billing_value: got {shared.usage_source!r}; leave it out"
            ]
        )
    if written.task_interval != USUAL_TASK_INTERVAL and "refresh_interval" not in shared:
        shared.refresh_interval = float(written.task_interval or USUAL_TASK_INTERVAL)
    return written


def of_configuration(config: Config) -> Written | None:
    """The same from a configuration file alone, where it names classes."""
    hub: Mapping[str, Any] = config.get("JupyterHub", {})
    return apply_credits(hub.get("authenticator_class"), hub.get("spawner_class"), config)


def decided_by_functions(config: Config) -> bool:
    """Whether functions of the admin's say what a user has, where the configuration names
    classes.
    """
    hub: Mapping[str, Any] = config.get("JupyterHub", {})
    authenticator, spawner = (hub.get(f"{one}_class") for one in ("authenticator", "spawner"))
    if not isinstance(authenticator, type) or not issubclass(authenticator, HasTraits):
        return False
    written = written_in(authenticator, spawner if isinstance(spawner, type) else object, config)
    return written is not None and written.resolves


def _refuse_both(config: Config) -> None:
    ours = config.get(MANAGER, {})
    if ours.get(OPTION):
        raise ConfigurationError(
            [f"{MANAGER}.{OPTION} is what the authenticator's options say; leave it out"]
        )
    if config.get(UsageConfig.__name__, {}).get("credit_prices"):
        raise ConfigurationError(
            [
                f"{UsageConfig.__name__}.credit_prices does not go with an authenticator that has"
                " credits: the spawner's billing_value says what a server costs; leave it out"
            ]
        )
