"""`ledger list`, `export`, `import`, `forget`, `verify`."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.adjusting import Said, config_in, run
from tests.support.paths import ROOT

REASON = "it was ü, \u2028 “late”"


def ledger(config: str, *arguments: str) -> Said:
    return run("ledger", arguments[0], "--config", config, *arguments[1:])


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A ledger with a grant, an override, an exemption for everyone, and a voiding."""
    (tmp_path / "old").mkdir()
    made = config_in(tmp_path / "old")
    common = ("--config", made, "--until", "7d", "--reason", REASON, "--actor", "tutor")
    memory = ("--policy", "memory")
    run("grant", *common, *memory, "--user", "ada", "--amount", "0.1 GiB-hours", "--key", "once")
    run("override", *common, *memory, "--user", "bob", "--limit", "9 GiB-hours")
    run("exempt", *common, "--policy", "course", "--everyone")
    run("void", "2", "--config", made, "--reason", "no bob", "--actor", "me")
    return made


@pytest.fixture
def new(tmp_path: Path) -> str:
    (tmp_path / "new").mkdir()
    return config_in(tmp_path / "new")


def test_the_newest_are_listed_first_in_words_and_as_objects(config):
    lines = ledger(config, "list").out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"adjustment {n}" for n in (3, 2, 1)]
    assert lines[1].endswith("(voided by me: no bob)")
    assert "\\u2028" in lines[0]
    found = ledger(config, "list", "--json", "--limit", "2").objects
    assert [(one["id"], one["kind"]) for one in found] == [(3, "exemption"), (2, "override")]
    assert found[1]["voided"]["reason"] == "no bob"
    assert found[1]["amount"] == 9
    (of_ada,) = ledger(config, "list", "--json", "--user", "ada").objects
    assert (of_ada["reason"], of_ada["amount"]) == (REASON, pytest.approx(0.1, abs=1e-9))


@pytest.mark.parametrize("what", ["list", "export", "verify"])
def test_a_ledger_that_is_not_there_is_not_an_empty_one_and_not_made(new, what):
    said = ledger(new, what)
    assert (said.code, said.out) == (4, "")
    assert "is not there: the Hub makes it when it starts" in said.err
    assert not Path(new).with_name("ledger.sqlite").exists()
    run("void", "1", "--config", new, "--reason", "whatever")
    assert not Path(new).with_name("ledger.sqlite").exists()


def test_an_empty_ledger(new, tmp_path):
    (tmp_path / "lines").write_text("")
    assert ledger(new, "import", str(tmp_path / "lines")).code == 0
    assert ledger(new, "list") == ledger(new, "export") == Said(0, "", "")
    assert ledger(new, "verify").out == "0 entries, all as they were written\n"


def test_who_reads_an_export_may_stop(config):
    run_it = "import sys; from jupyterhub_usage_quotas.commands import main; sys.exit(main())"
    command = [sys.executable, "-c", run_it, "ledger", "export"]
    with subprocess.Popen(
        [*command, "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("limit", ["0", "-1", "x", "²", "9" * 30])
def test_a_number_that_is_none(config, limit):
    assert ledger(config, "list", "--limit", limit).code == 2


def test_an_export_is_taken_into_another_as_it_is_and_once(config, new, tmp_path):
    exported = ledger(config, "export")
    assert exported.out.isascii()
    assert [one["kind"] for one in exported.objects] == ["grant", "override", "exemption", "void"]
    assert exported.objects[0]["amount"] == "386547056640.000000"
    file = tmp_path / "lines"
    file.write_text(exported.out, encoding="utf-8-sig", newline="\r\n")  # as an editor left it
    assert ledger(new, "import", "--dry-run", str(file)).out == (
        "4 entries can be imported; nothing was written\n"
    )
    assert not Path(new).with_name("ledger.sqlite").exists()
    assert ledger(new, "import", str(file)).out == "4 entries imported, 0 were there before\n"
    again = ledger(new, "import", str(file), "--json")
    assert again.objects == [{"entries": 4, "new": 0, "dry_run": False}]
    for what in (["export"], ["verify", "--json"], ["list", "--json"]):
        assert ledger(new, *what) == ledger(config, *what)
    # Keys are taken along: what was carried out before is not again.
    repeated = ("--until", "7d", "--reason", REASON, "--actor", "tutor", "--policy", "memory")
    more = ("--user", "ada", "--amount", "0.1 GiB-hours", "--key", "once", "--json")
    assert run("grant", "--config", new, *repeated, *more).objects[0]["id"] == 1


def test_what_came_later_is_taken_too_and_another_ledger_is_not_overwritten(config, new, tmp_path):
    file = tmp_path / "lines"
    lines = ledger(config, "export").out.splitlines(keepends=True)
    file.write_text("".join(lines[:2]))
    assert ledger(new, "import", str(file)).code == 0
    file.write_text("".join(lines))
    assert ledger(new, "import", str(file)).out == "2 entries imported, 2 were there before\n"
    file.write_text(lines[0])
    said = ledger(new, "import", str(file))
    assert said.code == 2
    assert "the ledger has other entries" in said.err
    other = config_in(tmp_path, "")
    why = ("--until", "1d", "--reason", "another", "--policy", "memory")
    run("exempt", "--config", other, "--user", "eve", *why)
    file.write_text("".join(lines))
    before = ledger(other, "export")
    assert ledger(other, "import", str(file)).code == 2
    assert ledger(other, "export") == before


def changed(line: str, **fields: object) -> str:
    return json.dumps(json.loads(line) | fields) + "\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [*lines[:1], "x\n"], "line 2: Invalid JSON"),
        (lambda lines: [*lines[:1], "[]\n"], "line 2: "),
        (lambda lines: ["\n", "{" + " " * 100_001], "line 2: too long: got 100002 characters"),
        (lambda lines: [changed(lines[0], amount="1.5")], "line 1: amount: "),
        (lambda lines: [changed(lines[0], amount="1.500000")], "line 1: it is not as it was"),
        (lambda lines: [changed(lines[0], reason="another")], "line 1: it is not as it was"),
        (lambda lines: [changed(lines[0], more=1)], "line 1: more: "),
        (lambda lines: [changed(lines[0], id="1")], "line 1: id: "),
        (lambda lines: [changed(lines[0], start="2026-11-24T00:00:00")], "line 1: start: "),
        (lambda lines: [changed(lines[0], kind="void")], "line 1: it is not as it was"),
        (lambda lines: lines[1:], "line 1: the entry before it is 0"),
        (lambda lines: [lines[0], lines[2]], "line 2: the entry before it is 1"),
        (lambda lines: [lines[0], lines[0]], "line 2: the entry before it is 1"),
    ],
)
def test_what_was_changed_on_the_way_is_named_and_nothing_is_written(
    config, new, tmp_path, change, says
):
    file = tmp_path / "lines"
    file.write_text("".join(change(ledger(config, "export").out.splitlines(keepends=True))))
    said = ledger(new, "import", str(file))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {says}"), said.err
    assert not Path(new).with_name("ledger.sqlite").exists()


def test_a_file_that_cannot_be_read(new, tmp_path):
    assert ledger(new, "import", str(tmp_path / "none")).code == 2
    (tmp_path / "bytes").write_bytes(b"\xff\xfe{}")
    assert ledger(new, "import", str(tmp_path / "bytes")).code == 2


def test_a_row_that_somebody_changed_is_named(config):
    whole = ledger(config, "verify")
    assert whole.code == 0
    assert whole.out.startswith("4 entries, all as they were written; the last has the hash ")
    with sqlite3.connect(Path(config).with_name("ledger.sqlite")) as connection:
        connection.execute("DROP TRIGGER usage_quotas_no_update")
        connection.execute("UPDATE usage_quotas_entries SET amount = '1' WHERE id = 2")
    broken = ledger(config, "verify")
    assert (broken.code, broken.err) == (1, "")
    assert broken.out.startswith("entry 2: it is not as it was written")
    (found,) = ledger(config, "verify", "--json").objects
    assert (found["whole"], found["broken_at"], found["entries"]) == (False, 2, 1)


def test_a_ledger_that_lost_its_end_is_found_by_what_was_noted(config):
    (noted,) = ledger(config, "verify", "--json").objects
    count, head = noted["entries"], noted["head"]
    (third,) = [one["hash"] for one in ledger(config, "export").objects if one["id"] == 3]
    for expected in (f"{count}:{head}", f"{count}:{head.upper()}", f"3:{third}"):
        assert ledger(config, "verify", "--expect", expected).code == 0
    with sqlite3.connect(Path(config).with_name("ledger.sqlite")) as connection:
        connection.execute("DROP TRIGGER usage_quotas_no_delete")
        connection.execute("DELETE FROM usage_quotas_entries WHERE id = 4")
    assert ledger(config, "verify").code == 0
    assert ledger(config, "verify", "--expect", f"3:{third}").code == 0
    lost = ledger(config, "verify", "--expect", f"{count}:{head}")
    assert (lost.code, lost.out) == (1, "entry 4: it is missing, and 4 entries were noted\n")
    more = ("--policy", "memory", "--until", "1d", "--reason", "in its place", "--user", "eve")
    run("exempt", "--config", config, *more)
    other = ledger(config, "verify", "--expect", f"{count}:{head}", "--json")
    (found,) = other.objects
    assert (other.code, found["whole"], found["broken_at"]) == (1, False, 4)
    assert found["why"].startswith("it is another one than was noted")


@pytest.mark.parametrize("expected", ["4", "4:", f"0:{'0' * 64}", "x:y", f"4:{'g' * 64}", ":"])
def test_what_nobody_can_have_noted_is_refused(config, expected):
    said = ledger(config, "verify", "--expect", expected)
    assert (said.code, said.out) == (2, "")
    assert "expected a number of entries, a colon, and the hash of the last" in said.err


def test_who_is_forgotten_is_in_no_line_and_what_becomes_of_the_hash_is_said(config, new, tmp_path):
    audit = tmp_path / "audit.log"
    more = f"c.UsageConfig.audit_log = {str(audit)!r}\nc.UsageConfig.audit_log_format = 'json'\n"
    Path(config).write_text(Path(config).read_text() + more)
    file = tmp_path / "lines"
    file.write_text(ledger(config, "export").out)
    # bob's override was voided; ada's grant is in force.
    still = ledger(config, "forget", str(file), "--user", "ada", "--user", "bob")
    assert (still.code, still.out) == (2, "")
    assert still.err.startswith("error: adjustment 1 is needed until ")
    done = ledger(config, "forget", str(file), "--user", "bob")
    assert done.code == 0
    assert "bob" not in done.out + done.err + audit.read_text().replace("no bob", "")
    (before,), (after,) = ledger(config, "verify", "--json").objects, done.objects[-1:]
    (line,) = [json.loads(one) for one in audit.read_text().splitlines()]
    assert (line["event"], line["entries"], line["changed"]) == ("forgotten", 4, 2)
    assert line["before"] == f"4:{before['head']}"
    assert line["after"] == f"4:{after['hash']}"
    assert f"2 of 4 entries are without them; {line['before']} becomes {line['after']}" in done.err
    file.write_text(done.out)
    assert ledger(new, "import", str(file)).code == 0
    assert ledger(new, "verify", "--expect", line["after"]).code == 0
    assert ledger(new, "list").out.count("forgotten-") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "nobody is named: pass --user or --reason-of"),
        (("--user", "nobody"), "nothing to forget: got 'nobody'"),
        (("--reason-of", "5"), "no such entry: got 5"),
    ],
)
def test_there_is_nobody_to_forget(config, tmp_path, options, says):
    file = tmp_path / "lines"
    file.write_text(ledger(config, "export").out)
    said = ledger(config, "forget", str(file), *options)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
