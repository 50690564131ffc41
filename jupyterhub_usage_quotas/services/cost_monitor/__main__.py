"""`python -m jupyterhub_usage_quotas.services.cost_monitor`: the cost monitor."""

from __future__ import annotations

import sys

from .app import main

if __name__ == "__main__":
    sys.exit(main())
