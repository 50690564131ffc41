"""What an admin wrote for the credit service, of either generation, as the option of ours."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from traitlets import HasTraits, TraitError
from traitlets.config import Config

from ...errors import ConfigurationError
from ...quotas.messages import said_by, shown, wrong
from .entries import arity_of, entries_of, require_selectable
from .options import Written as Entry
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
from .values import KEYS, InvalidCredits, number, refilled, refilled_of, seconds

LONGEST_CALL: Final = 30
"""Seconds that a function which names the projects may take."""
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
DAY: Final = 86400


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
    if at is not None and not _TIME.fullmatch(at):
        yield f"credits_grant_sync_time: {wrong(got=at, expected='a time, HH:MM')}"
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
    given, names = values["credits_user"], _names(values)
    if given is None:
        made = _older(values, projects, billed=billed, **common)
    elif callable(given):
        option = _option(_usual(), projects, billed=billed)
        if names:
            option |= {"user": [{"name": one, **_usual()} for one in names], "by_name": True}
        made = Written({}, None, given, arity_of(given), option, **common)
    else:
        made = _entries(given, projects, billed=billed, **common)
    if values["credits_grant_sync_time"] is not None:
        made.option["at"] = in_utc(values["credits_grant_sync_time"])
        _require_that_days_are_whole(made.option)
    return made


def _entries(given: object, projects: list[Entry], *, billed: bool, **common: Any) -> Written:
    """`credits_user` as a dict, or a list of some."""
    found = entries_of(given)
    there = {one["name"] for one in projects}
    for project in found.projects:
        if project["name"] in there:
            expected = "the entry alone to name it: leave it out of credits_available_projects"
            raise InvalidCredits(wrong("credits_user.project", project["name"], expected))
    projects += found.projects
    user = [dict(one) for one in found.written]
    option = _option(user if len(user) > 1 else user[0], projects, billed=billed)
    if found.projects:
        option["everyones"] = [one["name"] for one in found.projects]
    if len(user) > 1:
        of = {one.project: one.name for one in found.entries if one.project}
        if unpaid := there - set(of):
            expected = "each in an entry of credits_user, where there are several"
            raise InvalidCredits(wrong("credits_available_projects", sorted(unpaid)[0], expected))
        option |= {"paying_for": of} if of else {}
    numbers = {key: user[0][key] for key in KEYS}
    return Written(numbers, None, None, 0, option, **common)


def _names(values: Mapping[str, Any]) -> list[str]:
    """The names of the entries that a function returns. Raises `InvalidCredits`."""
    given, where = values["credits_user_names"], "credits_user_names"
    if not given:
        return []
    if not isinstance(given, list | tuple):
        raise InvalidCredits(wrong(where, given, "a list of names"))
    if not callable(values["credits_user"]):
        raise InvalidCredits(f"{where} is for a credits_user that is a function; leave it out")
    if values["credits_available_projects"]:
        raise InvalidCredits(
            f"{where} does not go with credits_available_projects: write credits_user as a list"
        )
    return [require_selectable(one, where) for one in dict.fromkeys(given)]


def in_utc(at: str) -> str:
    """A time of the day by the clock of this machine, in UTC now."""
    hours, minutes = map(int, at.split(":"))
    then = (hours * 60 + minutes) * 60 - time.localtime().tm_gmtoff
    return f"{then % DAY // 3600:02}:{then % 3600 // 60:02}"


def _require_that_days_are_whole(option: Entry) -> None:
    """Refuse intervals of which no whole number is a day. Raises `InvalidCredits`."""
    user = option["user"]
    for one in (*(user if isinstance(user, list) else [user]), *option.get("projects", ())):
        if DAY % one["grant_interval"]:
            expected = "an interval that a day has a whole number of, or no credits_grant_sync_time"
            raise InvalidCredits(
                wrong("credits_grant_sync_time: grant_interval", one["grant_interval"], expected)
            )


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


def _option(user: Entry | list[Entry], projects: list[Entry], *, billed: bool) -> Entry:
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
            raise InvalidCredits(f"{where}: {said_by(error)}") from error
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
