"""Weekly summaries: who gets one, once, with what is true of them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from traitlets import TraitError
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.config.summaries import moment_of
from jupyterhub_usage_quotas.hub.guard.making import Post
from jupyterhub_usage_quotas.hub.guard.outbox import NoticesInMemory, Outbox
from jupyterhub_usage_quotas.hub.guard.summaries import Summaries
from jupyterhub_usage_quotas.ledger.sql.guarding import SqlGuard
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.status.users import UserStatuses
from tests.support.guarding import BEGIN, MadeUpHub

# A Sunday.
DUE = datetime(2026, 3, 8, 18, 0, tzinfo=UTC)
LOG = logging.getLogger("summaries")
POLICY = {
    "name": "week",
    "resource": "time",
    "limit": "10 hours",
    "window": 7,
    "scope": {"everyone": True},
}


class Course:
    """Three students of a course and one of another; two teachers."""

    def __init__(self, **options) -> None:
        self.hub = MadeUpHub()
        self.hub.policies = parse_policies([POLICY])
        for name, hours, *groups in (
            ("ada", 9.5, "course", "mails"),
            ("ben", 12, "course"),
            ("cleo", 0, "course", "mails"),
            ("dora", 1, "other"),
            ("lea", 1, "lecturers"),
            ("tom", 0, "tutors"),
        ):
            self.hub.user(name)
            owner = self.hub.app.db.query(orm.User).filter_by(name=name).one()
            for group in groups:
                owner.groups.append(self.group(group))
            end = DUE - timedelta(hours=3)
            self.hub.meter.sessions[name] = [[end - timedelta(hours=hours), end]]
        self.hub.app.db.commit()
        self.hub.meter.covered_until = DUE
        section = {"may_grant": {"lecturers": ["course", "other"], "tutors": [{"glob": "oth*"}]}}
        config = Config({"UsageQuotaManager": section | options})
        self.known = True
        self.sent = []
        self.summaries = Summaries(
            self.hub.app,
            QuotaOptions(config=config),
            UserStatuses(self.hub.policies, self.hub.meter),
            "hub",
            self.send,
            lambda _now: self.known,
        )

    def group(self, name):
        db = self.hub.app.db
        return db.query(orm.Group).filter_by(name=name).first() or orm.Group(name=name)

    async def send(self, notices):
        self.sent.append({one.user: one for one in notices})


async def test_who_wants_one_gets_what_is_left_and_who_used_nothing_gets_none():
    course = Course(weekly_summary=["mails"])
    await course.summaries.look(DUE)
    ((user, notice),) = course.sent[0].items()
    assert user == "ada"
    assert notice.text == (
        "Your usage quotas this week:\n"
        "Server time (in the last 7 days): 30m left of 10h. Nearly used up."
    )


async def test_teachers_get_their_groups_and_no_others():
    course = Course(weekly_summary_to_owners=True)
    await course.summaries.look(DUE)
    assert {user: one.text for user, one in course.sent[0].items()} == {
        "lea": "Group course: 2 of 3 members used servers. Used up: ben. Nearly used up: ada.\n"
        "Group other: 1 of 1 members used servers.",
        "tom": "Group other: 1 of 1 members used servers.",
    }


async def test_it_is_made_once_a_week_when_usage_is_known_and_not_long_after():
    course = Course(weekly_summary=True)
    for now in (DUE - timedelta(hours=1), DUE + timedelta(hours=25)):
        await course.summaries.look(now)
    assert course.sent == []
    course.known = False
    await course.summaries.look(DUE)
    assert course.sent == []
    course.known = True
    for minutes in (1, 2, 60):
        await course.summaries.look(DUE + timedelta(minutes=minutes))
    assert len(course.sent) == 1
    course.hub.meter.covered_until = DUE + timedelta(days=7)
    course.hub.meter.sessions["ada"] = [[DUE, DUE + timedelta(hours=1)]]
    await course.summaries.look(DUE + timedelta(days=7))
    assert [one["ada"].id for one in course.sent if "ada" in one] == [
        course.sent[0]["ada"].id,
        course.sent[1]["ada"].id,
    ]
    assert course.sent[0]["ada"].id != course.sent[1]["ada"].id


async def test_a_hub_that_starts_again_sends_none_twice_and_shows_none(tmp_path):
    course = Course(weekly_summary=True)
    ledger = course.hub.ledger(tmp_path)
    sql = SqlGuard(ledger.journal.database, "hub")
    got = []

    class Target:
        name = "target"

        async def send(self, notice):
            got.append(notice.user)

    outbox = Outbox(sql, [Target()], LOG)
    post = Post("hub", sql, NoticesInMemory(), [Target()], outbox)
    course.summaries._send = post.send
    await course.summaries.look(DUE)
    await outbox.send(DUE)
    assert sorted(got) == ["ada", "ben", "dora", "lea"]
    course.summaries._sent = None
    await course.summaries.look(DUE + timedelta(minutes=5))
    await outbox.send(DUE + timedelta(minutes=5))
    assert len(got) == 4
    assert not (await sql.load(BEGIN)).notices
    await ledger.aclose()


@pytest.mark.parametrize(
    ("written", "now", "expected"),
    [
        ("Sunday 18:00", DUE, DUE),
        ("Sunday 18:00", DUE - timedelta(seconds=1), DUE - timedelta(days=7)),
        ("friday 12:00 Europe/Zurich", DUE, datetime(2026, 3, 6, 11, 0, tzinfo=UTC)),
        # Clocks are set forward at two on this night: there is no half past two.
        (
            "Sunday 02:30 Europe/Zurich",
            datetime(2026, 3, 29, 12, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        ),
    ],
)
def test_when_it_is_time(written, now, expected):
    assert moment_of(written).last(now) == expected


@pytest.mark.parametrize(
    "written", ["", "Sunday", "Sunday 25:00", "Someday 10:00", "Sunday 10:00 Mars/Base", None, 7]
)
def test_what_is_no_time_is_refused(written):
    with pytest.raises(TraitError, match="expected a day and a time"):
        QuotaOptions(weekly_summary_at=written)


@pytest.mark.parametrize("written", ["mails", [1], None, {"a": 1}])
def test_what_are_no_groups_is_refused(written):
    with pytest.raises(TraitError, match="expected a list of groups"):
        QuotaOptions(weekly_summary=written)


def test_by_default_nobody_gets_any():
    options = QuotaOptions()
    assert not options.wants_summary(frozenset({"mails"}))
    assert SimpleNamespace(on=options.weekly_summary_to_owners).on is False
