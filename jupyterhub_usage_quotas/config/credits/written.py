"""What an admin wrote for the credit service, of either generation, as the option of ours."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from traitlets import HasTraits, TraitError
from traitlets.config import Config

from ...errors import ConfigurationError
from ...quotas.messages import shown, wrong
from .options import Entry
from .traits import (
    CREDIT_TRAITS,
    NEWER,
    OLDER,
    USUAL_CAP,
    USUAL_GRANT_INTERVAL,
    USUAL_GRANT_VALUE,
    BillingTraits,
    CreditTraits,
)
from .values import KEYS, USUAL_NAME, InvalidCredits, number, refilled, refilled_of, seconds

LONGEST_CALL: Final = 30
"""Seconds that a function which names the projects may take."""
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_ARITIES: Final = (5, 4, 3)
"""Arguments of `credits_user`, in the order in which they are tried: (authenticator, name, groups,
admin, auth_state), the same without the authenticator, and without `auth_state`, too."""


@dataclass(frozen=True, slots=True)
class Written:
    """The options of an authenticator with credits, read and checked.

    `user` says a user's cap, grant_value and grant_interval: numbers, or functions of (name,
    groups, admin); `entry`, where it is set, says all of them at once and takes so many arguments.
    `option` is what it comes to as `UsageQuotaManager.credits`.
    """

    user: Mapping[str, Any]
    project: Callable[..., Any] | None
    entry: Callable[..., Any] | None
    arity: int
    option: Entry
    post_hook: Callable[[], Any] | None = None
    task_interval: int | None = None
    lines: tuple[str, ...] = field(default=())

    @property
    def resolves(self) -> bool:
        """Whether anything is said by functions of the user."""
        called = any(map(callable, self.user.values()))
        return called or self.project is not None or self.entry is not None


def written_in(authenticator: type[HasTraits], spawner: type, config: Config) -> Written | None:
    """What is written for this class of authenticators; None where it has no credits, or they are
    off. Raises `ConfigurationError` with everything that is wrong.
    """
    if not issubclass(authenticator, CreditTraits):
        return None
    where = authenticator.__name__
    values, errors = _values_of(authenticator, config)
    if errors:
        raise ConfigurationError(errors)
    if not values["credits_enabled"]:
        return None
    named = _names_in(authenticator, config)
    errors = [f"{where}.{line}" for line in _errors_together(values, named)]
    try:
        made = _read(values, billed=issubclass(spawner, BillingTraits))
    except InvalidCredits as error:
        raise ConfigurationError([*errors, f"{where}.{error}"]) from None
    if errors:
        raise ConfigurationError(errors)
    return made


def _names_in(authenticator: type[HasTraits], config: Config) -> set[str]:
    """The options that are written in a section that the class reads."""
    sections: list[str] = authenticator.section_names()  # type: ignore[attr-defined]
    return {name for one in sections if one in config for name in config[one]} & CREDIT_TRAITS


def _values_of(authenticator: type[HasTraits], config: Config) -> tuple[dict[str, Any], list[str]]:
    """The values of the options, defaults of the class included, without making an authenticator:
    that needs a Hub that has begun.
    """
    probe: Any = authenticator.__new__(authenticator)
    errors = []
    for section in authenticator.section_names():  # type: ignore[attr-defined]
        for name in CREDIT_TRAITS & set(config.get(section, ())):
            try:
                setattr(probe, name, config[section][name])
            except TraitError:
                value = config[section][name]
                expected = probe.traits()[name].info()
                errors.append(f"{section}.{name}: {wrong(got=value, expected=expected)}")
    values = {}
    for name in CREDIT_TRAITS:
        try:
            values[name] = getattr(probe, name)
        except TraitError as error:
            errors.append(f"{authenticator.__name__}.{name}, by default: {error}")
    return values, errors


def _errors_together(values: Mapping[str, Any], named: set[str]) -> Iterator[str]:
    older = sorted(named & set(OLDER))
    newer = sorted(named & set(NEWER))
    if older and newer:
        yield (
            f"{older[0]} is of the first generation of credits, and {newer[0]} of the second: leave"
            " one of them out"
        )
    at = values["credits_grant_sync_time"]
    if at is not None:
        if not _TIME.fullmatch(at):
            yield f"credits_grant_sync_time: {wrong(got=at, expected='a time, HH:MM')}"
        else:
            yield (
                "credits_grant_sync_time is not supported yet: leave it out, and credits are"
                " granted by grant_interval"
            )
    hook = values["credits_task_post_hook"]
    if hook is not None and not callable(hook):
        yield f"credits_task_post_hook: {wrong(got=hook, expected='a function')}"
    interval = values["credits_task_interval"]
    if not isinstance(interval, int) or interval <= 0:
        expected = "a number of seconds above 0"
        yield f"credits_task_interval: {wrong(got=interval, expected=expected)}"


def _read(values: Mapping[str, Any], *, billed: bool) -> Written:
    hook = values["credits_task_post_hook"]
    common = {"post_hook": hook, "task_interval": values["credits_task_interval"]}
    projects = _projects(values["credits_available_projects"])
    given = values["credits_user"]
    if given is None:
        return _older(values, projects, billed=billed, **common)
    if callable(given):
        option = _option(_usual(), projects, billed=billed)
        return Written({}, None, given, arity_of(given), option, **common)
    name, entry, project = entry_of(given)
    if project is not None:
        projects.append(project)
    option = _option({"name": name, **entry}, projects, billed=billed)
    if project is not None:
        option["everyones"] = project["name"]
    return Written(entry, None, None, 0, option, **common)


def _older(
    values: Mapping[str, Any], projects: list[Entry], *, billed: bool, **common: Any
) -> Written:
    user = {key: values[f"credits_user_{key}"] for key in KEYS}
    checks = {"cap": number, "grant_value": number, "grant_interval": seconds}
    usual = _usual()
    for key, value in user.items():
        if not callable(value):
            usual[key] = checks[key](value, f"credits_user_{key}")
    cap, grant, interval = (usual[key] for key in KEYS)
    refilled(cap, grant, interval, "credits_user_")
    project = values["credits_user_project"]
    if project is not None and not callable(project):
        expected = "a function of (name, groups, admin)"
        raise InvalidCredits(f"credits_user_project: {wrong(got=project, expected=expected)}")
    option = _option(usual, projects, billed=billed)
    return Written(user, project, None, 0, option, **common)


def _usual() -> Entry:
    """What stands in the policy for users of whom the functions have not said anything yet."""
    return {
        "cap": USUAL_CAP,
        "grant_value": USUAL_GRANT_VALUE,
        "grant_interval": USUAL_GRANT_INTERVAL,
    }


def _option(user: Entry, projects: list[Entry], *, billed: bool) -> Entry:
    option: Entry = {"user": user, "billed": billed}
    return option | ({"projects": projects} if projects else {})


def _projects(given: object) -> list[Entry]:
    """The available projects, also where a function names them. Raises `InvalidCredits`."""
    where = "credits_available_projects"
    if callable(given):
        try:
            given = _called(given)
        except Exception as error:
            # It is the admin's.
            raise InvalidCredits(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(given, list | tuple):
        raise InvalidCredits(f"{where}: {wrong(got=given, expected='a list of dicts')}")
    found: dict[str, Entry] = {}
    for index, entry in enumerate(given):
        name, _ = refilled_of(entry, f"{where}[{index}]")
        if name in found:
            raise InvalidCredits(f"{where}: {shown(name)} is there twice; a name must be unique")
        found[name] = {key: entry[key] for key in ("name", *KEYS)}
    return list(found.values())


def _called(function: Callable[[], Any]) -> Any:
    """What a function without arguments returns. A coroutine has a thread and a loop of its own:
    the Hub's is at its beginning, and this is awaited by nobody.
    """

    def work() -> Any:
        found = function()
        return asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found

    thread = ThreadPoolExecutor(1)
    try:
        return thread.submit(work).result(LONGEST_CALL)
    finally:
        thread.shutdown(wait=False)


async def _awaited(what: Any) -> Any:
    return await what


def entry_of(given: object) -> tuple[str, Entry, Entry | None]:
    """The name, numbers and project of what `credits_user` is or returns: a dict, or a list of one.
    Raises `InvalidCredits`.
    """
    if isinstance(given, list | tuple):
        if len(given) != 1:
            expected = "one entry: a user's servers all draw on the same credits"
            raise InvalidCredits(f"credits_user: {wrong('entries', len(given), expected)}")
        given = given[0]
    if isinstance(given, Mapping) and given.get("user_options"):
        raise InvalidCredits(
            "credits_user: user_options are not supported: a user's servers all draw on the same"
            " credits, and billing_value says what each of them costs"
        )
    if isinstance(given, Mapping):
        given = {"name": USUAL_NAME, **given}
    optional = ("project", "user_options")
    name, _ = refilled_of(given, "credits_user", optional=optional)
    assert isinstance(given, Mapping)  # noqa: S101 else it was refused
    project = given.get("project") or None
    if project is not None:
        refilled_of(project, "credits_user.project")
        project = {key: project[key] for key in ("name", *KEYS)}
    return name, {key: given[key] for key in KEYS}, project


def arity_of(function: Callable[..., Any]) -> int:
    """How many arguments `credits_user` takes: decided once, by its signature. Raises
    `InvalidCredits` where it takes none of these.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise InvalidCredits(f"credits_user: its arguments cannot be read: {error}") from None
    for arity in _ARITIES:
        try:
            signature.bind(*range(arity))
        except TypeError:
            continue
        return arity
    expected = "(authenticator, name, groups, admin, auth_state), or the last four or three of them"
    raise InvalidCredits(f"credits_user{signature}: wrong arguments; expected {expected}")
