"""In which namespaces users' pods are looked for."""

from __future__ import annotations

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.metering.client import promql


def namespaces(hub: str = "jhub", **sections: dict) -> list[str]:
    own = sections.pop("UsageConfig", {})
    config = Config({"UsageConfig": {"hub_namespace": hub, **own}, **sections})
    return list(UsageQuotaManager(config=config).make_source().namespaces)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, ["jhub"]),
        ({"namespace": "jhub"}, ["jhub"]),
        ({"namespace": "users"}, ["jhub", "users"]),
        # Outside of a cluster KubeSpawner says "user" for the Hub's namespace.
        ({"enable_user_namespaces": True}, ["jhub", "user-*"]),
        (
            {"enable_user_namespaces": True, "user_namespace_template": "{hubnamespace}"},
            ["jhub", "user"],
        ),
        (
            {
                "enable_user_namespaces": True,
                "namespace": "unused",
                "user_namespace_template": "u-{safe_username}-of-jhub",
            },
            ["jhub", "u-*-of-jhub"],
        ),
        ({"enable_user_namespaces": False, "user_namespace_template": "x-{username}"}, ["jhub"]),
    ],
)
def test_they_are_what_kubespawner_is_configured_with(section, expected):
    assert namespaces(KubeSpawner=section) == expected
    assert namespaces(OurOwnSpawner=section) == expected


def test_what_is_configured_counts():
    spawner = {"enable_user_namespaces": True}
    assert namespaces(KubeSpawner=spawner, UsageConfig={"pod_namespaces": ["a-?"]}) == [
        "jhub",
        "a-?",
    ]
    assert namespaces(KubeSpawner=spawner, UsageConfig={"pod_namespaces": []}) == ["jhub"]


def test_without_the_hubs_namespace_all_are_counted():
    assert namespaces(hub="", KubeSpawner={"enable_user_namespaces": True}) == []


def test_a_pattern_means_nothing_but_its_wildcards():
    assert promql.like("namespace", ["jhub"]) == 'namespace="jhub"'
    assert promql.like("namespace", ["jhub", "a.b-*|?"]) == r'namespace=~"a\\.b-.*\\|.|jhub"'
    assert promql.like("namespace", []) == ""
