"""Dashboards that write into one ledger at once keep to what may be given in a week together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from jupyterhub_usage_quotas.conventions import SCOPE_GRANT
from tests.support.campus import HOUR, TINA, Campus, running_campus

OF_THEO = "token-of-theo"


def test_two_teachers_in_two_dashboards_do_not_pass_the_limit_together(url: str, tmp_path: Path):
    """Of 16 requests as many are carried out as the limit, 2 GiB-hours for each student, allows."""
    with ExitStack() as stack:
        campuses = [stack.enter_context(running_campus(tmp_path, ledger_url=url)) for _ in range(2)]
        for campus in campuses:
            campus.teacher("theo", f"{SCOPE_GRANT}!group=a")

        def give(campus: Campus, token: str) -> int:
            more = {"policy": "memory", "amount": "0.5 GiB-hours"}
            return campus.give(token, "ann", **more).status_code

        with ThreadPoolExecutor(16) as threads:
            asked = [
                threads.submit(give, campus, token)
                for _ in range(4)
                for campus in campuses
                for token in (TINA, OF_THEO)
            ]
            statuses = [one.result() for one in asked]
        assert sorted(statuses) == [201] * 4 + [403] * 12
        for campus in campuses:
            assert sum(one.amount for one in campus.about("ann")) == 2 * 1024**3 * HOUR
