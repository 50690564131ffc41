"""What we use of JupyterHub's own objects: these attributes, and no others.

JupyterHub ships no types, so that to mypy everything of its own is `Any`. With these Protocols mypy
refuses an attribute that is not named here; and that JupyterHub 5 and 6 and KubeSpawner have all
that are, tests say (`tests/unit/hub/test_types.py`). What only some spawners or some versions have
is not here: it is read with `getattr` and a default.
"""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn, Protocol

from sqlalchemy.orm import Session
from traitlets import Bunch, TraitType
from traitlets.config import Config


class HubGroup(Protocol):
    """A group of users."""

    @property
    def name(self) -> str: ...


class HubUser(Protocol):
    """A user, with their servers."""

    @property
    def name(self) -> str: ...
    @property
    def escaped_name(self) -> str: ...  # as it is in URLs
    @property
    def admin(self) -> bool: ...
    @property
    def created(self) -> datetime | None: ...  # in UTC, without saying so
    @property
    def groups(self) -> Iterable[HubGroup]: ...
    @property
    def spawners(self) -> Mapping[str, HubSpawner]: ...  # by the server's name
    @property
    def spawner(self) -> HubSpawner: ...  # of the default server
    @property
    def db(self) -> Session: ...


class StoredSpawner(Protocol):
    """What the Hub's database keeps of a server."""

    @property
    def started(self) -> datetime | None: ...  # in UTC, without saying so
    @property
    def state(self) -> Mapping[str, Any] | None: ...  # what the spawner's `get_state` gave


class HubHandler(Protocol):
    """The handler of the request that starts a server."""

    @property
    def settings(self) -> dict[str, Any]: ...  # tornado's, which are the whole Hub's


class HubSpawner(Protocol):
    """What starts one server of a user, of whatever class."""

    def __init__(self, **options: Any) -> None: ...  # values of its traits, and `config`

    consecutive_failure_limit: int
    # Wrapped, so that what a launch was decided on is stored with the server's state.
    get_state: Callable[[], Mapping[str, Any]]
    clear_state: Callable[[], None]
    progress: Callable[[], Any]  # the events of a start; wrapped, to say what is left
    # Wrapped, so that starts and ends are recorded in that moment.
    start_polling: Callable[[], Any]
    run_post_stop_hook: Callable[[], Any]

    @property
    def name(self) -> str: ...
    @property
    def user(self) -> HubUser: ...
    @property
    def active(self) -> bool: ...
    @property
    def pending(self) -> str | None: ...
    @property
    def user_options(self) -> Mapping[str, Any]: ...
    @property
    def options_form(self) -> object: ...
    @property
    def orm_spawner(self) -> StoredSpawner | None: ...
    @property
    def handler(self) -> HubHandler | None: ...
    @property
    def _spawn_future(self) -> Future[Any] | None: ...  # of the last launch
    @property
    def log(self) -> logging.Logger: ...
    @property
    def config(self) -> Config: ...
    @classmethod
    def class_trait_names(cls, *, config: bool) -> list[str]: ...
    def traits(self) -> Mapping[str, TraitType[Any, Any]]: ...
    def trait_defaults(self, name: str) -> object: ...


class HubAddress(Protocol):
    """Where the Hub listens."""

    @property
    def proto(self) -> str: ...
    @property
    def ip(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def base_url(self) -> str: ...
    @property
    def api_url(self) -> str: ...  # as others reach it


class HubApp(Protocol):
    """The Hub itself."""

    # What is given to it while it is configured.
    services: Sequence[Mapping[str, Any]]
    load_roles: Sequence[Mapping[str, Any]]
    custom_scopes: Mapping[str, Any]
    template_paths: Sequence[str]
    template_vars: Mapping[str, Any]
    jinja_environment_options: Mapping[str, Any]
    tornado_settings: Mapping[str, Any]

    @property
    def config(self) -> Config: ...
    @property
    def config_file(self) -> str: ...
    @property
    def log(self) -> logging.Logger: ...
    @property
    def spawner_class(self) -> type[HubSpawner]: ...
    @property
    def users(self) -> Mapping[int, HubUser]: ...  # by their number in the database
    @property
    def db(self) -> Session: ...
    @property
    def base_url(self) -> str: ...
    @property
    def subdomain_host(self) -> str: ...
    @property
    def bind_url(self) -> str: ...
    @property
    def hub_ip(self) -> str: ...
    @property
    def hub_port(self) -> int: ...
    @property
    def hub_bind_url(self) -> str: ...
    @property
    def hub_connect_url(self) -> str: ...
    @property
    def hub(self) -> HubAddress: ...
    @property
    def internal_ssl(self) -> bool: ...
    @property
    def internal_ssl_key(self) -> str: ...
    @property
    def internal_ssl_cert(self) -> str: ...
    @property
    def internal_ssl_ca(self) -> str: ...
    @property
    def proxy_class(self) -> type[Any]: ...
    def observe(self, handler: Callable[[Bunch], None], names: Sequence[str]) -> None: ...
    def unobserve(self, handler: Callable[[Bunch], None], names: Sequence[str]) -> None: ...
    def exit(self, exit_status: int) -> NoReturn: ...
    def _template_paths_default(self) -> list[str]: ...
