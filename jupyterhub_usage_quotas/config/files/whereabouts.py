"""Where a Hub's configuration and database are, for commands that run elsewhere than the Hub.

The Hub starts in a directory of its own, and a path that is relative is relative to that.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets.config import Config

from ...status.hub_database import DB_URL, SQLITE
from ..ledger import default_ledger_url

SNIPPETS = "jupyterhub_config.d"
"""The folder of The Littlest JupyterHub for parts of a configuration: a Hub reads all of them."""
ENV_TLJH = "TLJH_INSTALL_PREFIX"
TLJH = "/opt/tljh"
IMAGES = Path("/srv/jupyterhub")
"""Where the Hub starts in JupyterHub's images, that of Zero to JupyterHub included."""


def whole(path: Path) -> Path:
    """The file that a Hub reads: of a part of The Littlest JupyterHub's configuration, the file
    that loads all parts, where that is installed beside us.
    """
    if path.absolute().parent.name != SNIPPETS:
        return path
    found = importlib.util.find_spec("tljh")
    folders = list(found.submodule_search_locations or ()) if found else []
    every = (Path(folder) / "jupyterhub_config.py" for folder in folders)
    return next((one for one in every if one.is_file()), path)


def find_databases(config: Config, path: Path) -> None:
    """Set `UsageConfig.hub_database` to where the Hub's database is, and `ledger_url` to where the
    ledger is, if that is a file, and not here, or where it is by default.

    They are searched in the directories in which a Hub starts: that of its configuration, that of
    the images, the state directory of The Littlest JupyterHub.
    """
    sections: Mapping[str, Any] = config
    ours = sections.get("UsageConfig", {})
    url = str(sections.get("JupyterHub", {}).get("db_url", DB_URL))
    if "hub_database" not in ours and (found := _elsewhere(url, path)):
        config.UsageConfig.hub_database = found
    if found := _elsewhere(str(ours.get("ledger_url", "")), path):
        config.UsageConfig.ledger_url = found
    usual = default_ledger_url(sections)
    if usual and Path(usual.removeprefix(SQLITE)).is_file():
        config.UsageConfig.ledger_url = usual


def _elsewhere(url: str, path: Path) -> str:
    """The URL of a database that is not here, and is where a Hub starts; else empty."""
    file = Path(url.removeprefix(SQLITE))
    if not url.startswith(SQLITE) or file.is_absolute() or file.is_file():
        return ""
    of_tljh = Path(os.environ.get(ENV_TLJH, TLJH)) / "state"
    for directory in (path.absolute().parent, IMAGES, of_tljh):
        if (directory / file).is_file():
            return f"{SQLITE}{directory / file}"
    return ""
