"""Usage quotas for JupyterHub.

An admin calls `setup_usage_quotas(c)` in `jupyterhub_config.py`. `UsageQuotaManager` is for
those who call its `pre_spawn_start` from an authenticator of their own.
"""

from .conventions import __version__
from .hub.launch.enforcement import UsageQuotaManager
from .hub.setup import setup_usage_quotas

__all__ = ["UsageQuotaManager", "__version__", "setup_usage_quotas"]
