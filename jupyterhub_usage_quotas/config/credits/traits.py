"""The options of the credit service, of both of its generations, with its names and defaults.

They are traits of mixin classes, since admins write them in the section of their own authenticator
or spawner. Values that can be functions are checked where they are used.
"""

from __future__ import annotations

import os
from typing import Any, Final

from traitlets import Any as AnyTrait
from traitlets import Bool, Int, Unicode, default
from traitlets.config import LoggingConfigurable

from ...conventions import ENV_CREDITS

USUAL_CAP, USUAL_GRANT_VALUE, USUAL_GRANT_INTERVAL = 100, 10, 600
USUAL_BILLING_VALUE, USUAL_BILLING_INTERVAL = 10, 600
USUAL_TASK_INTERVAL = 60
TRUE: Final = ("1", "true")

OLDER: Final = (
    "credits_user_cap",
    "credits_user_grant_value",
    "credits_user_grant_interval",
    "credits_user_project",
)
"""Options of the first generation, of the releases 0.1."""
NEWER: Final = ("credits_user", "credits_user_names", "credits_grant_sync_time")
"""Options of the second, of the releases since 0.2."""


def _number(name: str, usual: int) -> int | str:
    """The default in the environment; what is no number is refused with the option."""
    text = os.environ.get(ENV_CREDITS.format(name=name), "")
    return int(text) if text.strip().isdecimal() else text or usual


class CreditTraits(LoggingConfigurable):
    """The options of an authenticator."""

    credits_enabled = Bool(
        help="""
        Whether users have credits at all. The default is the environment variable
        JUPYTERHUB_CREDITS_ENABLED, else True.
        """
    ).tag(config=True)

    @default("credits_enabled")
    def _credits_enabled_default(self) -> bool:
        return os.environ.get(ENV_CREDITS.format(name="ENABLED"), "1").lower() in TRUE

    credits_task_interval = Int(
        help="""
        How often, in seconds, usage is brought up to date, and `credits_task_post_hook` is called.
        """
    ).tag(config=True)

    @default("credits_task_interval")
    def _credits_task_interval_default(self) -> Any:
        return _number("TASK_INTERVAL", USUAL_TASK_INTERVAL)

    credits_user_cap = AnyTrait(
        help="""
        The most credits a user can have: a number, or a function of (name, groups, admin), which
        may be a coroutine.
        """
    ).tag(config=True)

    @default("credits_user_cap")
    def _credits_user_cap_default(self) -> Any:
        return _number("USER_CAP", USUAL_CAP)

    credits_user_grant_value = AnyTrait(
        help="""
        How many credits a user gets every interval: a number or a function, as for the cap.
        """
    ).tag(config=True)

    @default("credits_user_grant_value")
    def _credits_user_grant_value_default(self) -> Any:
        return _number("USER_GRANT_VALUE", USUAL_GRANT_VALUE)

    credits_user_grant_interval = AnyTrait(
        help="""
        The seconds after which a user gets the next credits: a number or a function, as for the
        cap.
        """
    ).tag(config=True)

    @default("credits_user_grant_interval")
    def _credits_user_grant_interval_default(self) -> Any:
        return _number("USER_GRANT_INTERVAL", USUAL_GRANT_INTERVAL)

    credits_user_project = AnyTrait(
        None,
        allow_none=True,
        help="""
        A function of (name, groups, admin) that returns the name of the user's project, or None.
        """,
    ).tag(config=True)

    credits_available_projects = AnyTrait(
        help="""
        The projects: a list of {"name": ..., "cap": ..., "grant_value": ...,
        "grant_interval": ...}, or a function without arguments that returns one.
        """
    ).tag(config=True)

    @default("credits_available_projects")
    def _credits_available_projects_default(self) -> list[Any]:
        return []

    credits_user = AnyTrait(
        None,
        allow_none=True,
        help="""
        The credits of a user: {"name": ..., "cap": ..., "grant_value": ..., "grant_interval": ...,
        "project": {...}, "user_options": {...}}, a list of some, of which the first pays for a
        server that is started with its `user_options`, or a function that returns that, of
        (authenticator, name, groups, admin, auth_state), or the last four or three of these.
        """,
    ).tag(config=True)

    credits_user_names = AnyTrait(
        None,
        allow_none=True,
        help="""
        Where a function `credits_user` returns several entries: a list of all of their names. They
        are policies, which are there before the function is called for the first time.
        """,
    ).tag(config=True)

    credits_grant_sync_time = Unicode(
        None,
        allow_none=True,
        help="""
        A time of the day, "HH:MM", by the clock of this machine when the Hub starts, at which
        credits are granted: intervals are counted from it. A day must have a whole number of them.
        """,
    ).tag(config=True)

    credits_task_post_hook = AnyTrait(
        None,
        allow_none=True,
        help="""
        A function without arguments, which may be a coroutine, that is called after usage was
        brought up to date.
        """,
    ).tag(config=True)


class BillingTraits(LoggingConfigurable):
    """The options of a spawner."""

    billing_value = AnyTrait(
        allow_none=True,
        help="""
        How many credits a server costs every interval: a number, or a function of the spawner,
        which may be a coroutine. None and 0 are for nothing.
        """,
    ).tag(config=True)

    @default("billing_value")
    def _billing_value_default(self) -> Any:
        return _number("BILLING_VALUE", USUAL_BILLING_VALUE)

    billing_interval = AnyTrait(
        allow_none=True,
        help="""
        The seconds for which a server costs `billing_value`: a number, or a function of the
        spawner, which may be a coroutine.
        """,
    ).tag(config=True)

    @default("billing_interval")
    def _billing_interval_default(self) -> Any:
        return _number("BILLING_INTERVAL", USUAL_BILLING_INTERVAL)


CREDIT_TRAITS: Final = frozenset(CreditTraits.class_own_traits(config=True))
