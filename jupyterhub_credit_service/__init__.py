"""The names of the JupyterHub Credit Service, for configurations that were written for it: credits
are counted by jupyterhub-usage-quotas, which this package is a part of.
"""

from jupyterhub_usage_quotas.hub.credits.installing import install, require_one_owner

require_one_owner(__name__)

from jupyterhub_usage_quotas.hub.credits.authenticator import (  # noqa: E402 first, whose it is
    CreditsAuthenticator,
    CreditsSpawner,
)
from jupyterhub_usage_quotas.hub.credits.installing import template_paths  # noqa: E402

install()

__all__ = ["CreditsAuthenticator", "CreditsSpawner", "template_paths"]
