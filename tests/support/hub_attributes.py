"""What JupyterHub's own objects lack of our Protocols: printed by the Python of each JupyterHub.

PYTHONPATH=. .venv-hub5/bin/python -m tests.support.hub_attributes
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.handlers import BaseHandler
from jupyterhub.objects import Hub
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner
from kubespawner import KubeSpawner
from typing_extensions import get_protocol_members, is_protocol

from jupyterhub_usage_quotas.hub import types


def lacking(protocol: type, objects: Iterable[object]) -> list[str]:
    """The attributes that a Protocol names and one of these does not have."""
    return sorted(
        name
        for name in get_protocol_members(protocol)
        if not all(hasattr(one, name) for one in objects)
    )


def protocols() -> dict[str, type]:
    """All of our Protocols, by name."""
    own = vars(types).items()
    return {name: one for name, one in own if inspect.isclass(one) and is_protocol(one)}


def real_objects() -> dict[str, list[object]]:
    """JupyterHub's objects of each kind, as a Hub makes them, or the class where that has all."""
    settings = {"spawner_class": SimpleLocalProcessSpawner}
    app = JupyterHub(db_url="sqlite:///:memory:", tornado_settings=settings)
    app.init_db()
    app.init_hub()
    group = orm.Group(name="team")
    app.db.add_all([group, orm.User(name="ada", groups=[group])])
    app.db.commit()
    user = app.users["ada"]
    return {
        "HubAddress": [Hub()],
        "HubApp": [app],
        "HubGroup": [*user.groups],
        "HubHandler": [BaseHandler],
        "HubSpawner": [user.spawner, LocalProcessSpawner, KubeSpawner],
        "HubUser": [user],
        "StoredSpawner": [user.spawner.orm_spawner],
    }


if __name__ == "__main__":
    real = real_objects()
    print(json.dumps({name: lacking(one, real[name]) for name, one in protocols().items()}))
