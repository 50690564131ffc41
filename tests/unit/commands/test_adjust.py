"""`grant`, `override`, `exempt`, `void`: what is written, what is printed, what is refused."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment, Grant
from jupyterhub_usage_quotas.quotas.subject import EVERYONE, Subject
from tests.support.adjusting import Said, config_in, hub_with, run

JOINED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GIB_HOUR = 2.0**30 * 3600
WHY = ("--reason", "a late deadline")
MORE = ("--policy", "memory", "--amount", "2 GiB-hours", "--until", "7d")


@pytest.fixture
def config(tmp_path: Path) -> str:
    members = {"ada": ["course"], "bob": ["course", "lab"], "eve": []}
    hub_with(tmp_path, members, JOINED)
    return config_in(tmp_path)


def written(config: str) -> list[Adjustment]:
    """What is in the ledger, the oldest first."""

    async def read() -> list[Adjustment]:
        ledger = SqlLedger.at(f"sqlite:///{Path(config).with_name('ledger.sqlite')}")
        try:
            return list(reversed(await ledger.history(EVERYONE)))
        finally:
            await ledger.aclose()

    return asyncio.run(read())


def grant(config: str, *arguments: str) -> Said:
    return run("grant", "--config", config, *MORE, *WHY, *arguments)


def nothing_is_written(config: str) -> bool:
    return not Path(config).with_name("ledger.sqlite").exists() or not written(config)


def test_a_grant_is_written_and_printed_with_its_number(config):
    before = datetime.now(UTC)
    said = grant(config, "--user", "ada", "--actor", "tutor", "--json")
    assert (said.code, said.err) == (0, "")
    (one,) = said.objects
    assert {name: one[name] for name in ("id", "kind", "policy", "user", "amount", "unit")} == {
        "id": 1,
        "kind": "grant",
        "policy": "memory",
        "user": "ada",
        "amount": 2.0,
        "unit": "GiB-hours",
    }
    assert (one["actor"], one["reason"], one["voided"]) == ("tutor", "a late deadline", None)
    (kept,) = written(config)
    assert kept.amount == 2 * GIB_HOUR  # type: ignore[attr-defined]
    assert before <= kept.start <= datetime.now(UTC)
    assert kept.until - kept.start == timedelta(days=7)
    assert kept.is_for(Subject("ada", created=JOINED))
    assert not kept.is_for(Subject("ada", created=JOINED + timedelta(days=1))), "made anew"


def test_it_is_said_in_words_and_who_runs_it_decides(config, monkeypatch):
    monkeypatch.setenv("LOGNAME", "root-of-all")
    said = grant(config, "--user", "ada")
    assert said.out.startswith("adjustment 1: grant of 2 GiB-hours for ada, policy memory, from ")
    assert said.out.endswith("by root-of-all: a late deadline\n")


def test_a_user_of_the_system_without_a_name_decides_too(config, monkeypatch):
    """As in a container of OpenShift, which runs as a number."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert grant(config, "--user", "ada", "--json").objects[0]["actor"] == f"uid {os.getuid()}"


def test_an_override_takes_the_place_of_the_limit_and_an_exemption_lifts_it(config):
    common = ("--config", config, "--user", "ada", "--until", "2099-01-01T00:00Z", *WHY)
    assert run("override", *common, "--policy", "memory", "--limit", "9 GiB-hours").code == 2
    common = ("--config", config, "--user", "ada", "--until", "30 days", *WHY)
    assert run("override", *common, "--policy", "memory", "--limit", "0 GiB-hours").code == 0
    assert run("exempt", *common, "--policy", "course", "--start", "2027-01-01T00:00Z").code == 0
    override, exemption = written(config)
    assert override.limit == 0.0  # type: ignore[attr-defined]
    assert (exemption.start, exemption.until) == (
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 31, tzinfo=UTC),
    )


def test_what_is_voided_is_said_and_who_did_it(config):
    grant(config, "--user", "ada")
    said = run("void", "1", "--config", config, "--reason", "the wrong ada", "--actor", "me")
    assert said.code == 0
    assert said.out.endswith("a late deadline (voided by me: the wrong ada)\n")
    (kept,) = written(config)
    assert kept.voided
    said = run("void", "1", "--config", config, "--reason", "once more", "--json")
    assert (said.code, said.out) == (2, "")
    assert "adjustment 1 was voided before, by me" in said.err
    said = run("void", "7", "--config", config, "--reason", "whatever")
    assert (said.code, said.err) == (2, "error: there is no adjustment 7\n")


def test_with_a_key_it_is_carried_out_once(config):
    first = grant(config, "--user", "ada", "--key", "ticket 4711", "--json")
    again = grant(config, "--user", "ada", "--key", "ticket 4711", "--json")
    assert again == first
    other = grant(config, "--user", "bob", "--key", "ticket 4711", "--json")
    assert (other.code, other.out) == (2, "")
    assert "the key 'ticket 4711' belongs to another request" in other.err
    assert len(written(config)) == 1


def test_a_repetition_is_answered_as_the_first_time_also_once_it_is_over(config):
    until = datetime(2026, 2, 3, tzinfo=UTC)
    first = Grant(
        "memory",
        until - timedelta(days=2),
        until,
        "ada",
        user_created=JOINED,
        actor="tutor",
        reason="a late deadline",
        amount=2 * GIB_HOUR,
    )

    async def write() -> None:
        ledger = SqlLedger.at(f"sqlite:///{Path(config).with_name('ledger.sqlite')}", upgrade=True)
        await ledger.record([first], key="k")
        await ledger.aclose()

    asyncio.run(write())
    asked = ("--user", "ada", "--actor", "tutor", "--json", "--until", until.isoformat())
    again = grant(config, *asked, "--key", "k")
    assert (again.code, again.err) == (0, "")
    assert [one["id"] for one in again.objects] == [1]
    other = grant(config, *asked, "--key", "k", "--reason", "another")
    assert (other.code, "belongs to another request" in other.err) == (2, True)
    new = grant(config, *asked, "--key", "new")
    assert (new.code, "expected until to be later than start" in new.err) == (2, True)
    assert len(written(config)) == 1


OF_OTHER_KINDS = """
c.UsageConfig.credit_prices = {"cpu": 1}
c.UsageQuotaManager.policy += [
    {"name": "homes", "resource": "storage", "limit": "10 GiB", "scope": {"everyone": True}},
    {"name": "hard", "resource": "storage", "limit": "exported", "scope": {"everyone": True}},
    {"name": "budget", "resource": "credits", "limit": "20 credits", "window": 7,
     "scope": {"everyone": True}},
    {"resource": "storage", "limit": "20 GiB", "scope": {"group": ["course"]}},
]
"""


def test_storage_and_credits_are_adjusted_in_their_own_units(config):
    Path(config).write_text(Path(config).read_text() + OF_OTHER_KINDS)
    for policy, amount, kept in (
        ("homes", "5 GiB", 5 * 2.0**30),
        ("hard", "5 GiB", 5 * 2.0**30),
        ("budget", "7.5 credits", 7.5),
    ):
        said = grant(config, "--user", "ada", "--policy", policy, "--amount", amount)
        assert (said.code, f"of {amount} for ada" in said.out) == (0, True), said
        assert written(config)[-1].amount == kept  # type: ignore[attr-defined]
    for policy, amount in (("homes", "5 GiB-hours"), ("budget", "5 GiB"), ("budget", "5")):
        said = grant(config, "--user", "ada", "--policy", policy, "--amount", amount)
        assert (said.code, said.err.startswith("error: amount: ")) == (2, True)
    unnamed = grant(config, "--user", "ada", "--policy", "storage for course", "--amount", "5 GiB")
    assert unnamed.code == 2
    assert "'storage for course' has no name of its own" in unnamed.err
    assert '"name": ' in unnamed.err


def test_many_at_once_are_named_listed_or_members_and_each_gets_it_once(
    config, tmp_path, monkeypatch
):
    listed = tmp_path / "names"
    listed.write_text("\ufeffeve\n\n ada \r\n", encoding="utf-8")
    said = grant(config, "--user", "ada", "--users", str(listed), "--group", "course", "--json")
    assert said.code == 0
    assert [one["user"] for one in said.objects] == ["ada", "eve", "bob"]
    assert [one["id"] for one in said.objects] == [1, 2, 3]
    piped = io.TextIOWrapper(io.BytesIO(b"bob\n"))
    monkeypatch.setattr(sys, "stdin", piped)
    assert [one["user"] for one in grant(config, "--users", "-", "--json").objects] == ["bob"]
    (one,) = grant(config, "--everyone", "--json").objects
    assert one["user"] is None


def test_a_dry_run_shows_whom_it_reaches_and_writes_nothing(config):
    said = grant(config, "--group", "course", "--dry-run", "--json")
    assert said.code == 0
    assert [(one["id"], one["user"]) for one in said.objects] == [(None, "ada"), (None, "bob")]
    assert said.err == "note: dry run: 2 adjustments would be written, and nothing was\n"
    assert nothing_is_written(config)
    assert grant(config, "--user", "nobody", "--dry-run").code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--user", "adda"], "no such user: got 'adda'; did you mean ada?"),
        (["--user", "ada", "--user", "zz"], "no such user: got 'zz'; expected one of: "),
        (["--group", "lap"], "no members: got 'lap'; expected a group of the Hub with at least"),
        ([], "nobody is named: pass --user, --users, --group or --everyone"),
        (["--everyone", "--user", "ada"], "--everyone goes with no --user"),
        (["--users", "/nowhere"], "--users /nowhere: "),
        (["--user", "ada", "--policy", "memroy"], "unknown policy: got 'memroy'; expected one of"),
        (["--user", "ada", "--amount", "2"], "amount: has no unit"),
        (["--user", "ada", "--until", "soon"], "until: got 'soon'; expected a duration"),
        (["--user", "ada", "--reason", " "], "a reason is required"),
        (["--user", "ada", "--actor", ""], "actor must not be empty"),
        (["--user", "ada", "--key", "x" * 201], "key: got 201 characters; expected at most 200"),
        (
            ["--user", "ada", "--start", "2026-11-30"],
            "start: got '2026-11-30'; expected an instant",
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(config, arguments, says):
    said = grant(config, *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {says}"), said.err
    assert nothing_is_written(config)


def test_everything_that_is_wrong_is_said(config):
    said = grant(config, "--user", "ada", "--amount", "2", "--until", "soon")
    assert [line.split(":")[1].strip() for line in said.err.splitlines()] == ["until", "amount"]


def test_of_thousands_who_are_not_there_some_are_named(config, tmp_path):
    listed = tmp_path / "names"
    listed.write_text("\n".join(f"user-{number}\x1b[31m" for number in range(5000)))
    said = grant(config, "--users", str(listed))
    assert said.code == 2
    assert "\x1b" not in said.err
    assert said.err.splitlines()[-1] == "error: and 4980 users more are not there"
    assert len(said.err.splitlines()) == 21


def test_it_is_noted_if_the_policy_limits_somebody_else(config):
    said = grant(config, "--user", "eve", "--policy", "course", "--amount", "2h")
    assert said.code == 0
    assert said.err == "note: policy 'course' does not limit 'eve' at present\n"


def test_without_the_hubs_database_it_is_for_who_has_the_name(tmp_path):
    config = config_in(tmp_path)
    said = grant(config, "--user", "ada")
    assert said.code == 0
    assert "there is no database of the Hub" in said.err
    assert "it is for whoever has the name now" in said.err
    (kept,) = written(config)
    assert kept.user_created is None
    said = grant(config, "--group", "course")
    assert said.code == 2
    assert "members of groups are not known" in said.err


def test_without_a_ledger_it_is_said_what_to_set(tmp_path):
    config = config_in(tmp_path, "c.UsageConfig.ledger_url = ''\n")
    said = grant(config, "--user", "ada")
    assert said.code == 2
    assert "UsageConfig.ledger_url: there is no ledger to write into" in said.err


def test_the_usual_ledger_is_beside_the_hubs_database(tmp_path):
    hub_with(tmp_path, {"ada": []}, JOINED)
    config = Path(config_in(tmp_path))
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "ledger_url" not in line))
    assert grant(str(config), "--user", "ada").code == 0
    assert (tmp_path / "usage-quotas.sqlite").is_file()
    said = run("ledger", "list", "--config", str(config), "--json")
    assert [one["user"] for one in said.objects] == ["ada"]


def test_where_it_is_not_known_where_the_hub_starts_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Path(config_in(tmp_path))
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if "_url = 'sqlite" not in line))
    said = grant(str(config), "--user", "ada")
    assert said.code == 2
    assert "there is no ledger to write into" in said.err
    assert [one.name for one in tmp_path.iterdir()] == [config.name]


def test_a_ledger_that_does_not_answer_is_no_mistake_of_the_request(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    said = grant(config_in(tmp_path), "--user", "ada")
    assert said.code == 4
    assert "cannot be used" in said.err


def test_a_ledger_of_the_admins_own_is_written_too(tmp_path):
    config = config_in(
        tmp_path,
        "c.UsageConfig.ledger_url = ''\n"
        "c.UsageQuotaManager.ledger_factory ="
        " 'jupyterhub_usage_quotas.ledger.memory.MemoryLedger'\n",
    )
    assert grant(config, "--user", "ada", "--json").objects[0]["id"] == 1
    said = run("ledger", "verify", "--config", config)
    assert said.code == 2
    assert "only a ledger at UsageConfig.ledger_url" in said.err


def test_what_is_written_and_imported_is_in_the_audit_log_once(config, tmp_path):
    file, other = tmp_path / "audit.log", tmp_path / "other"
    more = f"c.UsageConfig.audit_log = {str(file)!r}\nc.UsageConfig.audit_log_format = 'json'\n"
    Path(config).write_text(Path(config).read_text() + more)
    asked = ("--user", "ada", "--user", "bob", "--actor", "tutor", "--key", "k")
    assert grant(config, *asked, "--dry-run").code == 0
    assert [grant(config, *asked).err for _ in range(2)] == ["", ""]
    assert grant(config, "--user", "nobody").code == 2
    run("void", "2", "--config", config, "--reason", "two\nlines", "--actor", "me")
    exported = tmp_path / "lines"
    exported.write_text(run("ledger", "export", "--config", config).out)
    other.mkdir()
    new = config_in(other, more)
    for options in ((), ("--dry-run",), ("--json",)):
        assert run("ledger", "import", str(exported), "--config", new, *options).code == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {one["through"] for one in lines} == {"command line"}
    assert [(one["event"], one.get("user")) for one in lines] == [
        ("made", "ada"),
        ("made", "bob"),
        ("repeated", "ada"),
        ("repeated", "bob"),
        ("voided", "bob"),
        ("imported", None),
        ("imported", None),
    ]
    assert lines[4]["voided"]["reason"] == "two\nlines"
    assert [(one["entries"], one["new"]) for one in lines[5:]] == [(3, 3), (3, 0)]
    assert lines[5]["hash"] == json.loads(exported.read_text().splitlines()[-1])["hash"]


def test_an_audit_log_that_takes_no_line_loses_none_and_fails_nothing(config):
    Path(config).write_text(Path(config).read_text() + "c.UsageConfig.audit_log = '/dev/full'\n")
    said = grant(config, "--user", "ada")
    assert said.code == 0
    assert len(written(config)) == 1
    why, line = said.err.splitlines()
    assert why.startswith("The audit log cannot be written: OSError: [Errno 28]")
    assert line.startswith("audit: at=")
    assert 'event="made" through="command line" id=1 kind="grant"' in line


@pytest.mark.parametrize("path", ["audit.log", "~/audit.log", "/a\nb"])
def test_an_audit_log_that_is_elsewhere_for_each_process_is_refused(config, path):
    Path(config).write_text(Path(config).read_text() + f"c.UsageConfig.audit_log = {path!r}\n")
    said = grant(config, "--user", "ada")
    assert said.code == 2
    assert "expected a path that begins with a slash" in said.err
