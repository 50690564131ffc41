"""`python -m jupyterhub_usage_quotas.services.usage_viewer`: the Usage Quota Dashboard.

Published configurations run it under this name; the service itself is in `viewer/`.
"""

from __future__ import annotations

import sys

from .viewer.app import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
