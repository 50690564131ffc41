"""What mypy accepts of JupyterHub's objects inside the package, as `api.py` does it for what others
import. That the real objects have these attributes is tested in `tests/unit/hub/test_types.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_type

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.hub.launch.request import rates_of, subject_of_user
from jupyterhub_usage_quotas.hub.setup import require_hook
from jupyterhub_usage_quotas.hub.types import HubApp, HubSpawner, HubUser
from jupyterhub_usage_quotas.quotas.subject import Subject


def users(user: HubUser, spawner: HubSpawner) -> None:
    assert_type(user.created, datetime | None)
    assert_type([group.name for group in user.groups], list[str])
    assert_type(user.spawners.get("gpu"), HubSpawner | None)
    assert_type(subject_of_user(user), Subject)
    user.teams  # type: ignore[attr-defined]  # noqa: B018
    user.admin = True  # type: ignore[misc]
    subject_of_user(spawner)  # type: ignore[arg-type]
    subject_of_user(subject_of_user(user))  # type: ignore[arg-type]


def spawners(spawner: HubSpawner) -> None:
    assert_type(spawner.pending, str | None)
    spawner.consecutive_failure_limit = 0
    spawner.user_options = {}  # type: ignore[misc]
    # Only some spawners have it.
    spawner.profile_list  # type: ignore[attr-defined]  # noqa: B018
    # It may not have run yet.
    spawner.orm_spawner.started  # type: ignore[union-attr]  # noqa: B018
    rates_of(spawner.user, {})  # type: ignore[arg-type]


def apps(app: HubApp) -> None:
    app.template_vars = {**app.template_vars, "usage_quota": None}
    app.services[0]["name"] = "own"  # type: ignore[index] # what the admin wrote stays as it is
    assert_type(app.users, Mapping[int, HubUser])
    app.users = {}  # type: ignore[misc]
    require_hook(app.spawner_class)
    require_hook(app)  # type: ignore[arg-type]


async def launches(manager: UsageQuotaManager, user: HubUser, untyped: Any) -> None:
    await manager.pre_spawn_start(user, user.spawner)
    # What JupyterHub hands over itself has no types.
    await manager.pre_spawn_start(untyped, untyped.spawner)
    await manager.pre_spawn_start(user.spawner, user)  # type: ignore[arg-type]
