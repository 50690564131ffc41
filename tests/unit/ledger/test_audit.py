"""The lines of the audit log: one for each event, whatever is in it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import stat
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.errors import AlreadyVoided, InvalidAdjustment, LedgerUnavailable
from jupyterhub_usage_quotas.ledger.audit import AuditedJournal, AuditLog
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from tests.support.ledgers import grant

POLICIES = parse_policies(
    [
        {
            "name": "week",
            "resource": "time",
            "limit": "20 hours",
            "window": 7,
            "scope": {"everyone": True},
        }
    ]
)
HOSTILE = 'a"b event=\nmade\r\x85\u2028\u202ereason="x"\t}\\'
"""What ends a line or a value, or turns a terminal's letters around."""


class Said:
    """What a process logs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.complaints: list[str] = []


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def log(said: Said, file: Path | None = None, *, as_json: bool = False) -> AuditLog:
    return AuditLog("dashboard", said.lines.append, said.complaints.append, file, as_json=as_json)


def journal(made: AuditLog) -> AuditedJournal:
    return AuditedJournal(MemoryLedger(), made, POLICIES)


async def test_each_event_is_a_line_and_what_is_refused_is_none(said: Said):
    audited = journal(log(said, as_json=True))
    two = [grant(), grant(user="bob")]
    written = await audited.record(two, key="k")
    assert await audited.record(two, key="k") == written
    await audited.void(1, actor="me", reason="no more", key="v")
    await audited.void(1, actor="me", reason="no more", key="v")
    with pytest.raises(AlreadyVoided):
        await audited.void(1, actor="me", reason="no more")
    with pytest.raises(InvalidAdjustment):
        await audited.record([grant(actor="")])
    found = [json.loads(line.removeprefix("audit: ")) for line in said.lines]
    events = [(one["event"], one["id"], one["user"]) for one in found]
    assert events == [
        ("made", 1, "ada"),
        ("made", 2, "bob"),
        ("repeated", 1, "ada"),
        ("repeated", 2, "bob"),
        ("voided", 1, "ada"),
        ("repeated", 1, "ada"),
    ]
    assert {one["through"] for one in found} == {"dashboard"}
    assert (found[0]["amount"], found[0]["unit"]) == (2, "hours")
    assert (found[4]["voided"]["actor"], found[4]["voided"]["reason"]) == ("me", "no more")


@pytest.mark.parametrize("as_json", [True, False])
def test_nothing_that_people_write_ends_a_line_or_a_value(said, file: Path, as_json: bool):
    # Names have no control characters; the audit log does not rely on that.
    told = {"actor": HOSTILE, "reason": HOSTILE * 300, "user": "\u0410da ü"}
    asyncio.run(log(said, file, as_json=as_json).add("imported", [told]))
    (line,) = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    if as_json:
        found = json.loads(line)
    else:
        found, rest = {}, line
        while rest:
            name, _, rest = rest.partition("=")
            found[name], end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].removeprefix(" ")
        assert line.endswith('user="\u0410da ü"'), "other letters can be read"
    assert set(found) == {"at", "event", "through", *told}
    assert found | told == found


def test_a_file_is_added_to_and_only_its_owner_reads_it(said: Said, file: Path):
    for _ in range(2):
        asyncio.run(journal(log(said, file)).record([grant()]))
    assert len(file.read_text().splitlines()) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (said.lines, said.complaints) == ([], [])


def test_half_a_line_that_a_full_disk_left_is_not_continued(said: Said, file: Path):
    file.write_text('{"at": "2026')
    asyncio.run(journal(log(said, file, as_json=True)).record([grant()]))
    first, second = file.read_text().splitlines()
    assert first == '{"at": "2026'
    assert json.loads(second)["event"] == "made"


def _a_folder(file: Path) -> Path:
    file.mkdir()
    return file


def _a_pipe_that_nobody_reads(file: Path) -> Path:
    os.mkfifo(file)
    # It has a reader, who does not read what is in its buffer.
    descriptor = os.open(file, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 4096)
    os.write(descriptor, b"x" * 4096)
    return file


@pytest.mark.parametrize(
    "made",
    [
        _a_folder,
        _a_pipe_that_nobody_reads,
        lambda file: file / "in" / "none",
        lambda _file: Path("/dev/full"),
    ],
)
async def test_no_line_is_lost_where_the_file_takes_none_and_the_decision_stands(
    said: Said, file: Path, made
):
    audited = journal(log(said, made(file)))
    written = await audited.record([grant(), grant(user="bob")])
    assert [one.id for one in written] == [1, 2]
    (complaint,) = said.complaints
    assert complaint.startswith("The audit log cannot be written: ")
    assert [line.startswith("audit: at=") for line in said.lines] == [True, True]
    assert 'user="bob"' in said.lines[1]


async def test_what_was_not_written_has_no_line(said: Said, tmp_path: Path):
    away = SqlLedger.at(f"sqlite:///{tmp_path / 'none.sqlite'}")
    audited = AuditedJournal(away, log(said), POLICIES)
    with pytest.raises(LedgerUnavailable):
        await audited.record([grant()])
    await audited.aclose()
    assert said.lines == []
