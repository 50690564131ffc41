"""`python -m jupyterhub_usage_quotas.services.usage_viewer`: the Usage Quota Dashboard.

Published configurations run it under this name; the service itself is in `viewer/`. Its port is
opened before the service is imported, which takes seconds on a busy machine.
"""

from __future__ import annotations

import os
import sys

from .web.early_port import EarlyPort


def main() -> int:
    """Run the service; returns the exit code."""
    early = EarlyPort.of(os.environ)
    from .viewer.app import main as run_viewer  # noqa: PLC0415 after the port is open

    return run_viewer(early=early)


if __name__ == "__main__":
    sys.exit(main())
