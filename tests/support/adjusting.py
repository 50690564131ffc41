"""Commands that write into the ledger, run in this process: what they print, and exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyterhub import orm
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jupyterhub_usage_quotas.commands import main

POLICIES = """
c.UsageQuotaManager.policy = [
    {"name": "memory", "resource": "memory", "limit": "100 GiB-hours", "window": 7,
     "scope": {"everyone": True}},
    {"name": "course", "resource": "time", "limit": "20 hours", "window": 7,
     "scope": {"group": ["course"]}},
]
"""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects on the lines of its output."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: str) -> Said:
    """Run a command; what argparse refuses is an exit code, too."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as exited:
            code = int(exited.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def hub_with(folder: Path, members: dict[str, Iterable[str]], created: datetime) -> None:
    """A Hub's database with these users, and the groups that each is in."""
    engine = create_engine(f"sqlite:///{folder / 'jupyterhub.sqlite'}")
    orm.Base.metadata.create_all(engine)
    groups = {name: orm.Group(name=name) for theirs in members.values() for name in theirs}
    with Session(engine) as session:
        for name, theirs in members.items():
            of = [groups[one] for one in theirs]
            session.add(orm.User(name=name, groups=of, created=created.replace(tzinfo=None)))
        session.commit()
    engine.dispose()


def config_in(folder: Path, more: str = "") -> str:
    """A configuration with policies and a ledger beside the Hub's database."""
    file = folder / "jupyterhub_config.py"
    file.write_text(
        f"c.JupyterHub.db_url = 'sqlite:///{folder / 'jupyterhub.sqlite'}'\n"
        f"c.UsageConfig.ledger_url = 'sqlite:///{folder / 'ledger.sqlite'}'\n"
        f"c.UsageConfig.prometheus_url = 'http://127.0.0.1:9'\n{POLICIES}{more}"
    )
    return str(file)
