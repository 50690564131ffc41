"""What is logged once, whatever users write."""

from __future__ import annotations

import logging

from jupyterhub_usage_quotas.hub.launch.logged_once import MOST_REASONS, LoggedOnce

LOG = logging.getLogger("a hub")


def test_a_traceback_is_logged_once_of_each_kind(caplog):
    logged = LoggedOnce()
    for error in (ValueError("x"), ValueError("y"), KeyError("x"), ValueError("x")):
        try:
            raise error
        except Exception:
            logged.exception(LOG, "It failed: %s", "correct it")
    assert [record.exc_info[0] for record in caplog.records] == [ValueError, KeyError]
    assert {record.getMessage() for record in caplog.records} == {"It failed: correct it"}


def test_users_who_write_ever_new_texts_do_not_fill_the_log(caplog):
    logged = LoggedOnce()
    for number in range(1000):
        logged.warn(LOG, "Big", f"cannot be read: {number}", "an option")
    assert len(caplog.records) == MOST_REASONS
    logged.forget("Big")
    logged.warn(LOG, "Big", "cannot be read: 1", "an option")
    assert len(caplog.records) == MOST_REASONS + 1


def test_what_a_user_wrote_is_no_second_line(caplog):
    """An override of an admin's can repeat it in what it raises."""
    logged = LoggedOnce()
    for error in (
        ValueError("unknown size small\nINJECTED \x1b[31m\ud800"),
        "unknown size small\rINJECTED",
        ValueError("x" * 1_000_000),
    ):
        logged.warn(LOG, "Big", error, "an option")
    assert len(caplog.records) == 3
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 1500
