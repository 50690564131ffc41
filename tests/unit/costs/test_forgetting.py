"""Daily usage in a new database, without a person: what all of them used together stays."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from jupyterhub_usage_quotas.costs.cost_store import CostStore
from jupyterhub_usage_quotas.costs.forgetting import copy_without, users_in
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.errors import InvalidAdjustment
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from tests.support import account


def database(path) -> Database:
    return Database(parse_ledger_url(f"sqlite:///{path}"), upgrade=True)


async def test_what_was_used_stays_under_another_name(tmp_path):
    old, new = database(tmp_path / "old.sqlite"), database(tmp_path / "new.sqlite")
    usage, costs = UsageStore(old), CostStore(old)
    await account.keep_usage(usage)
    # More rows than are copied at once.
    many = [
        CostRow(account.FIRST, "prod", f"c{number}", Decimal(1), "USD") for number in range(2500)
    ]
    await costs.write("aws", many, {account.FIRST: True}, account.NOW)
    assert await users_in(old) == {"", "ada", "bob", "eve"}
    copied = await copy_without(old, new, {"ada": "forgotten-1"})
    assert copied > 2500
    for store in (usage, UsageStore(new)):
        days = await store.usage(account.FIRST, account.AFTER)
        used = days[account.FIRST].used["prod"]
        whose = "ada" if store is usage else "forgotten-1"
        assert used[whose]["memory"] == 10 * account.GIB_HOUR
        assert ("ada" in used) == (store is usage)
    assert await users_in(new) == {"", "forgotten-1", "bob", "eve"}
    groups = await UsageStore(new).groups(account.LAST)
    assert ("prod", "ada") not in groups
    assert groups["prod", "bob"] == ("physics",)
    after = account.FIRST + timedelta(days=1)
    assert len(await CostStore(new).rows(["aws"], account.FIRST, after)) == 2500
    assert (await CostStore(new).days("aws", date(2026, 1, 1), after))[account.FIRST].final
    with pytest.raises(InvalidAdjustment, match="the new database has daily usage"):
        await copy_without(old, new, {})
    await old.aclose()
    await new.aclose()
