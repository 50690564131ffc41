"""The option about what is kept on disk, so that a Hub which starts again knows it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from traitlets import TraitError, Unicode, default, validate
from traitlets.config import LoggingConfigurable

from ..metering.checkpoint import Checkpoint
from ..quotas.messages import wrong


class StateOptions(LoggingConfigurable):
    """The part of `UsageConfig` about files of our own."""

    state_dir = Unicode(
        help="""
        The folder in which the Hub caches usage for its next start, in the file
        `usage-quotas.checkpoint`: with it only what is newer is read from Prometheus. It has to be
        one that stays, for example on the volume of the Hub's database. An empty text caches
        nothing on disk.

        The default is the folder of the Hub's database where that is a file, else the Hub's working
        directory.
        """
    ).tag(config=True)

    @default("state_dir")
    def _state_dir_default(self) -> str:
        return beside(str(getattr(self, "hub_database", "")))

    @validate("state_dir")
    def _can_be_a_folder(self, proposal: Any) -> str:
        if not proposal.value.isprintable():
            raise TraitError(wrong(got=proposal.value, expected="the path of a folder"))
        return str(proposal.value)

    def make_checkpoint(self, address: str, *, writer: bool) -> Checkpoint | None:
        """The file in which usage in the Prometheus at this address is cached; None for none."""
        if not self.state_dir:
            return None
        return Checkpoint(Path(self.state_dir).absolute(), address, writer=writer)


def beside(database: str) -> str:
    """The folder for files that belong beside a Hub's database, by its URL; empty where that is in
    memory, and nothing is to stay, or where there is no such folder.
    """
    file = file_of(database)
    if file == "":
        return ""
    try:
        return str(Path(file).absolute().parent if file else Path.cwd())
    except OSError:
        return ""  # the working directory was deleted


def file_of(database: str) -> str | None:
    """The file that a Hub's database is, by its URL; empty for one in memory, None for a server."""
    try:
        url = make_url(database)
    except (ArgumentError, ValueError):
        return None
    if not url.drivername.startswith("sqlite"):
        return None
    return "" if url.database in (None, "", ":memory:") else url.database
