"""The commands of the page about the ledger, run one after the other as they stand there."""

from __future__ import annotations

import os
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

from tests.support.adjusting import config_in, hub_with, run
from tests.support.paths import ROOT

PAGE = ROOT / "docs/how-to/ledger.md"
MORE = """
c.UsageConfig.credit_prices = {"gpu": 10}
c.UsageQuotaManager.policy += [
    {"name": "homes", "resource": "storage", "limit": "exported", "scope": {"everyone": True}},
    {"name": "budget", "resource": "credits", "limit": "100 credits", "window": 7,
     "scope": {"everyone": True}},
]
"""
COMMAND = re.compile(r"^ {4,6}jupyterhub-usage-quotas (.*)$", re.MULTILINE)


def test_every_command_does_what_the_page_says(tmp_path: Path, monkeypatch):
    hub_with(tmp_path, {"ada": ["course"]}, datetime(2026, 1, 2, tzinfo=UTC))
    config = Path(config_in(tmp_path))
    config.write_text(
        config.read_text().replace('"memory", "resource"', '"memory-week", "resource"') + MORE
    )
    monkeypatch.chdir(tmp_path)
    outputs = []
    for line in COMMAND.findall(PAGE.read_text()):
        command, _, file = line.partition(" > ")
        if "import" in command:
            config.write_text(config.read_text().replace("ledger.sqlite", "new.sqlite"))
        said = run(*shlex.split(command))
        assert said.code == 0, (command, said.err)
        outputs.append(said.out)
        if file:
            Path(file).write_text(said.out)
    assert len(outputs) == 12
    assert outputs[8] == outputs[11], "verify says the same after the ledger was moved"
    assert outputs[11].startswith("6 entries, all as they were written")
    assert {"ledger.sqlite", "new.sqlite"} <= set(os.listdir())
