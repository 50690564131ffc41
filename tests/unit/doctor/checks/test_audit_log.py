"""What `doctor` says of the audit log: whether a line can be added, without adding one."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyterhub_usage_quotas.doctor.checks.audit import audit_log
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from tests.support.permissions import not_as_root, reachable_by_all


async def said(file: object, ledger: object = "a ledger") -> list[tuple[str, str]]:
    manager = SimpleNamespace(audit_log=str(file), ledger=ledger)
    deployment: Any = SimpleNamespace(manager=manager)
    return [(one.status, one.says) for one in await audit_log(deployment)]


async def test_none_is_needed():
    ((status, words),) = await said("")
    assert (status, words.split(":")[0]) == ("ok", "no file is named")


async def test_one_that_is_there_stays_as_it_is(tmp_path: Path):
    file = tmp_path / "audit.log"
    file.write_text("a line\n")
    file.chmod(0o600)
    os.utime(file, (1, 1))
    assert await said(file) == [("ok", f"the audit log '{file}' can be written")]
    assert (file.read_text(), file.stat().st_mtime) == ("a line\n", 1)


async def test_one_that_is_not_there_is_not_made(tmp_path: Path):
    file = tmp_path / "audit.log"
    assert await said(file) == [("ok", f"the audit log '{file}' can be written, once made")]
    assert not file.exists()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda file: file.mkdir(), "IsADirectoryError"),
        (os.mkfifo, "OSError: No such device or address"),
        (lambda file: file.symlink_to(file), "OSError: Too many levels of symbolic links"),
    ],
    ids=["a folder", "a pipe that nobody reads", "a loop"],
)
async def test_what_no_line_can_be_added_to(tmp_path: Path, make: Any, why: str):
    file = tmp_path / "audit.log"
    make(file)
    ((status, words),) = await said(file)
    assert status == "failed"
    assert words.startswith(f"the audit log '{file}' cannot be written: ")
    assert why in words


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    ((status, words),) = await said(tmp_path / "lgos" / "audit.log")
    assert status == "failed"
    assert words.endswith(f"there is no folder '{tmp_path / 'lgos'}'")


async def test_a_folder_of_somebody_else_is_named(tmp_path: Path):
    os.chmod(reachable_by_all(tmp_path), 0o555)
    with not_as_root():
        ((status, words),) = await said(tmp_path / "audit.log")
    assert (status, words.split(": ")[1]) == ("failed", f"no file can be made in '{tmp_path}'")


async def test_one_that_everybody_may_write_is_a_warning(tmp_path: Path):
    file = tmp_path / "audit.log"
    file.touch()
    file.chmod(0o666)
    (written, open_to_all) = await said(file)
    assert written[0] == "ok"
    assert open_to_all[0] == "warning"


async def test_one_without_a_ledger_is_a_warning(tmp_path: Path):
    (_, none) = await said(tmp_path / "audit.log", NO_LEDGER)
    assert none[0] == "warning"
    assert "no ledger" in none[1]
