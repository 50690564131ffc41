"""What `import jupyterhub_credit_service` does: it refuses to share the name with somebody else's
package, and has quotas installed in the Hub that is being configured.
"""

from __future__ import annotations

from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from ..setup import install_for_credits

OURS: Final = "jupyterhub-usage-quotas"
template_paths: Final = [str(Path(__file__).parent / "templates")]
"""For `c.JupyterHub.template_paths`, as the credit service has it."""


def require_one_owner(package: str) -> None:
    """Refuse a package that another distribution owns, too: pip does not notice, and of the two
    that was installed last is imported. Raises ImportError.
    """
    owners = {one.lower().replace("_", "-") for one in packages_distributions().get(package, ())}
    if others := sorted(owners - {OURS}):
        raise ImportError(
            f"{package} belongs to two packages: got {', '.join(others)} beside {OURS}; expected"
            f" {OURS} alone. Run: pip uninstall {' '.join(others)}; then: pip install"
            f" --force-reinstall --no-deps {OURS}"
        )


def install() -> None:
    """Have credits installed once the Hub has read its configuration, if its authenticator has
    them; does nothing outside of a Hub.
    """
    install_for_credits()
