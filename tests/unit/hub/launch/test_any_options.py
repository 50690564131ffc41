"""Whatever a user sends as options, and whatever stands beside what was chosen: the decision is
about what KubeSpawner makes of it, and nothing that a user wrote gets further.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubespawner import KubeSpawner
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jupyterhub_usage_quotas.conventions import SERVER_REQUESTS
from jupyterhub_usage_quotas.hub.launch.kept import KEY, keep
from jupyterhub_usage_quotas.hub.launch.rates import rates_of
from jupyterhub_usage_quotas.hub.launch.request import OptionsRefused, read_launch
from jupyterhub_usage_quotas.hub.metrics.servers import ServerExporter
from tests.support.hub_objects import hub_spawner, hub_user
from tests.support.resources import ASKED

USER = hub_user("ada")
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
TRIED: Counter[str] = Counter()

LARGE = {
    "display_name": "Large",
    "slug": "large",
    "kubespawner_override": {"mem_guarantee": "4G", "cpu_limit": 2},
    "profile_options": {
        "memory": {
            "display_name": "Memory",
            "choices": {
                "16": {"default": True, "kubespawner_override": {"mem_guarantee": "16G"}},
                "64": {"kubespawner_override": {"mem_guarantee": "64G"}},
            },
        },
        "image": {
            "choices": {"base": {"default": True, "kubespawner_override": {"image": "base"}}},
            "unlisted_choice": {
                "enabled": True,
                "validation_regex": "^[a-z]+$",
                "kubespawner_override": {"image": "{value}"},
            },
        },
    },
}
SMALL = {"display_name": "Small", "slug": "small", "default": True}
PROFILES = [SMALL, LARGE]
SLUGS = {"small", "large"}
MARKS = {f"memory={size}" for size in ("16", "64")} | {"image=base"}

# --- what a user can send: any JSON ---------------------------------------------------------

TEXT = st.text(st.characters(), max_size=20)  # halves of characters and controls among them
HOSTILE = st.sampled_from(
    [
        *(
            "large",
            "small",
            "LARGE",
            "large ",
            "large\u200b",
            "large/memory=64",
            "16",
            "64",
            "base",
        ),
        *(
            "x\ud800",
            "x" * 100_000,
            "a\nb",
            "\x1b[31m",
            '"} 1\n# HELP',
            "=cmd()",
            "",
            "\0",
            "%s{0}",
        ),
    ]
)
ANY = st.recursive(
    HOSTILE | TEXT | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("profile", "memory", "image", "image--unlisted-choice", "memory--unlisted-choice"),
        *("mem_guarantee", "cpu_limit", "kubespawner_override", "profile_list", "usage_quota"),
    ]
)
OPTIONS = st.dictionaries(KEYS | TEXT, ANY, max_size=4) | st.fixed_dictionaries(
    {"profile": st.sampled_from(["large", "small"])},
    optional={
        "memory": st.sampled_from(["16", "64", "1024"]) | ANY,
        "image": st.just("base") | ANY,
        "image--unlisted-choice": st.sampled_from(["own", "own/memory=64", ""]) | ANY,
        "memory--unlisted-choice": ANY,
    },
)


def spawner(profiles: Any, options: dict[str, Any]) -> KubeSpawner:
    made = KubeSpawner(_mock=True, profile_list=copy.deepcopy(profiles), mem_guarantee="1G")
    made.user_options = copy.deepcopy(options)
    made.orm_spawner = None
    return made


@pytest.fixture(autouse=True, scope="module")
def _how_many() -> Iterator[None]:
    yield
    print(f"\noptions and profile lists tried: {dict(TRIED)}, in all {TRIED.total()}")


async def by_kubespawner(profiles: Any, options: dict[str, Any]) -> dict[str, float] | None:
    """What KubeSpawner's pod requests with these; None where it does not start one."""
    made = spawner(profiles, options)
    try:
        await made.load_user_options()
    except Exception:
        return None
    return dict(rates_of(made, ASKED))


def scraped_after_a_restart(options: dict[str, Any], state: dict[str, Any]) -> dict[str, float]:
    """What a Hub exports that has only what its database has of the server, by resource."""
    stored = SimpleNamespace(started=NOW.replace(tzinfo=None), state=state)
    running = hub_spawner("", active=True, user_options=options, orm_spawner=stored)
    registry = CollectorRegistry()
    user = hub_user("ada", spawners={"": running})
    registry.register(ServerExporter(lambda: {1: user}, "ns"))
    text = generate_latest(registry)
    assert len(text) < 5000
    return {
        sample.labels["resource"]: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == SERVER_REQUESTS
    }


@settings(max_examples=150)
@given(options=OPTIONS)
async def test_whatever_is_chosen_is_what_kubespawner_makes_of_it(options):
    expected = await by_kubespawner(PROFILES, options)
    made = spawner(PROFILES, options)
    if expected is None:
        TRIED["refused by KubeSpawner"] += 1
        with pytest.raises(OptionsRefused):
            await read_launch(USER, made, ASKED)
        return
    TRIED["started"] += 1
    request = (await read_launch(USER, made, ASKED)).request
    assert dict(request.rates) == expected
    assert request.profile in SLUGS
    assert request.profile_name in {"Small", "Large"}
    assert set(request.choices) <= MARKS
    keep(made, request, NOW)
    state = json.loads(json.dumps({KEY: made.get_state()[KEY]}))
    assert len(json.dumps(state).encode()) < 3000
    asked = {name: amount for name, amount in expected.items() if amount}
    assert scraped_after_a_restart(options, state) == asked


JUNK = st.dictionaries(
    st.sampled_from(
        ["slug", "default", "kubespawner_override", "profile_options", "description", "x"]
    ),
    ANY,
    max_size=4,
).map(lambda more: {"display_name": "Junk", **more})


@settings(max_examples=150)
@given(
    junk=st.lists(JUNK, min_size=1, max_size=3),
    options=st.sampled_from([{"profile": "large"}, {"profile": "large", "memory": "64"}]),
)
async def test_whatever_stands_beside_what_was_chosen_changes_nothing_of_it(junk, options):
    """An admin can write anything there; KubeSpawner reads a profile when it is chosen."""
    profiles = [SMALL, LARGE, *junk]
    expected = await by_kubespawner(profiles, options)
    made = spawner(profiles, options)
    if expected is None:
        TRIED["a list that KubeSpawner cannot read"] += 1
        with pytest.raises(OptionsRefused):
            await read_launch(USER, made, ASKED)
        return
    TRIED["beside others"] += 1
    launch = await read_launch(USER, made, ASKED)
    assert dict(launch.request.rates) == expected
    assert not launch.request.unknown
    offered = [one for one in launch.offers if one.request.profile in SLUGS]
    assert [one.request.profile for one in offered if one.selected][:2] == ["small", "large"]
