"""What home directories are called: as KubeSpawner itself calls them, whatever the username."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kubespawner import KubeSpawner
from traitlets import TraitError
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.metering.kubespawner.homes import home_names, pattern_of

PATTERNS = {
    # What is configured here, and KubeSpawner's slug_scheme and subPath.
    "safe": ("safe", "{username}"),
    "escape": ("escape", "{username}"),
    "{username}": ("safe", "{username}"),
    "{escaped_username}": ("safe", "{escaped_username}"),
    "home/{safe_username}": ("escape", "home/{safe_username}"),
    "{unescaped_username}/work": ("safe", "{unescaped_username}/work"),
    "{username}-{escaped_username}": ("safe", "{username}-{escaped_username}"),
    "{username}-": ("safe", "{username}-"),
    "{{{username}}}": ("safe", "{{{username}}}"),
    "{unescaped_username}": ("safe", "{unescaped_username}"),
}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@cache
def spawner_of(scheme: str) -> KubeSpawner:
    async def make() -> KubeSpawner:  # its clients belong to an event loop
        return KubeSpawner(_mock=True, slug_scheme=scheme)

    return asyncio.run(make())


def by_kubespawner(username: str, scheme: str, template: str) -> str:
    """The name that KubeSpawner gives the `subPath` of a volume."""
    spawner = spawner_of(scheme)
    spawner.user = SimpleNamespace(name=username, id=7)
    (mount,) = spawner._expand_all([{"subPath": template}])
    return mount["subPath"]


@pytest.mark.parametrize("scheme", PATTERNS)
@given(username=NAMES)
@example("alice")
@example("alice-b")
@example("Alice.B@uni.edu")
@example("a--b")
@example("-")
@example("")
@example("ends-")
@example("x" * 48)
@example("x" * 49)
@example("x" * 300)
@example("{username}")
@example("{0.__class__}")
@example("../../etc")
@example("naïve\n'\"\\")
def test_names_are_kubespawners(scheme, username):
    expected = by_kubespawner(username, *PATTERNS[scheme])
    assert home_names(scheme)(username) == expected


@pytest.mark.parametrize("scheme", ["safe", "escape", "{unescaped_username}"])
@given(one=NAMES, other=NAMES)
@example("alice-b", "alice-2db")
@example("al", "alice")
@example("A", "a")
@example("a-b", "a.b")
def test_two_users_never_have_the_same_home(scheme, one, other):
    # KubeSpawner strips what is left of an empty name: a raw name is as good as it is.
    if one.rstrip("-") != other.rstrip("-"):
        name_of = home_names(scheme)
        assert name_of(one) != name_of(other)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "legacy",
        "shared",
        "{userid}",
        "{servername}",
        "{username.__class__}",
        "{username!r}",
        "{username:>9}",
        "{",
        "{}",
        "{0}",
        "{username}/{user_server}",
    ],
)
def test_a_name_that_cannot_be_a_users_is_refused(wrong):
    with pytest.raises(ValueError, match="escaped_username") as refused:
        pattern_of(wrong)
    assert repr(wrong) in str(refused.value)
    with pytest.raises(TraitError):
        UsageConfig(home_storage_directory=wrong)
    config = Config()
    config.UsageConfig.home_storage_directory = wrong
    with pytest.raises(ConfigurationError, match="home_storage_directory"):
        UsageQuotaManager(config=config)


def test_what_is_not_text_to_kubespawner_is_not_guessed():
    for scheme in ("safe", "escape"):
        with pytest.raises(UnicodeError):
            home_names(scheme)("\ud800")


def test_most_hubs_need_to_say_nothing():
    assert UsageConfig().home_storage_directory == "escape"


@given(username=NAMES)
@example("alice-b")
@example("Alice@uni.edu")
def test_with_kubespawner_6_every_name_is_escaped(username):
    expected = home_names("escape")(username)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "kubespawner.slugs", None)  # it has no such module
        assert home_names("escape")(username) == expected
        assert home_names("{username}")(username) == expected


def test_no_name_waits_for_an_import():
    """It would take seconds on an event loop, within the time that a launch has."""
    code = (
        "import sys; from jupyterhub_usage_quotas.metering.kubespawner.homes import home_names\n"
        "name_of = home_names('safe'); before = set(sys.modules); print(name_of('a@b'))\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    name, imported = done.stdout.splitlines()
    assert name.startswith("a-b---")
    assert imported == "[]"


def test_the_client_of_kubernetes_is_not_imported_for_names():
    """It would take more than a second of every start of a Hub and of a dashboard."""
    code = (
        "import sys; from jupyterhub_usage_quotas.metering.kubespawner.homes import home_names\n"
        "print(home_names('safe')('a@b'), 'kubernetes_asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == home_names("safe")("a@b") + " False\n"
