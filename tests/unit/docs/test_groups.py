"""What the page on groups has authenticators do: their own code, given what providers send."""

from __future__ import annotations

import asyncio

import pytest
import yaml
from ldapauthenticator import LDAPAuthenticator
from ltiauthenticator.lti13.auth import LTI13Authenticator
from oauthenticator.azuread import AzureAdOAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from traitlets.config import Config

from tests.support.documentation import snippets
from tests.support.paths import ROOT

PAGE = ROOT / "docs/how-to/groups.md"
CONTEXT = "https://purl.imsglobal.org/spec/lti/claim/context"


def configured(section: str) -> Config:
    """The configuration on the page that is about this authenticator."""
    (found,) = (
        one for one in snippets(PAGE) if f"{section}:\n" in one.text or f"c.{section}." in one.text
    )
    config = Config()
    if found.language == "python":
        exec(found.text, {"c": config})
    else:
        hub = yaml.safe_load(found.text)["hub"]
        for name, options in hub["config"].items():
            config[name].update(options)
        for text in hub.get("extraConfig", {}).values():
            exec(text, {"c": config})
    return config


@pytest.mark.parametrize(
    ("cls", "auth_state", "groups"),
    [
        (GenericOAuthenticator, {"oauth_user": {"groups": ["a b", "c"]}}, {"a b", "c"}),
        (
            GitHubOAuthenticator,
            {"teams": [{"slug": "students", "organization": {"login": "uni"}}]},
            {"uni:students"},
        ),
        (GitHubOAuthenticator, {"teams": None}, set()),
        (GoogleOAuthenticator, {"google_user": {"google_groups": ["x@y.org"]}}, {"x@y.org"}),
        (AzureAdOAuthenticator, {"user": {"groups": ["6f8a1f0e-0f6b"]}}, {"6f8a1f0e-0f6b"}),
    ],
)
def test_groups_come_from_what_the_provider_says(cls, auth_state, groups):
    authenticator = cls(config=configured(cls.__name__))
    assert authenticator.manage_groups
    assert asyncio.run(authenticator.get_user_groups(auth_state)) == groups


@pytest.mark.parametrize(
    ("cls", "auth_state", "groups"),
    [
        (
            LDAPAuthenticator,
            {"user_attributes": {"memberOf": ["CN=students,OU=groups,DC=example,DC=org"]}},
            ["students"],
        ),
        (LDAPAuthenticator, {"user_attributes": {}}, []),
        (LTI13Authenticator, {CONTEXT: {"id": "7", "label": "SI182"}}, ["SI182"]),
        (LTI13Authenticator, {CONTEXT: {"id": "7"}}, []),
        (LTI13Authenticator, {}, []),
    ],
)
def test_groups_come_from_a_hook(cls, auth_state, groups):
    config = configured(cls.__name__)
    assert config[cls.__name__].manage_groups
    hook = config.Authenticator.post_auth_hook
    model = {"name": "alice", "auth_state": auth_state}
    assert hook(None, None, model)["groups"] == groups
    # It is the authenticator's own, too: the option is that of its base class.
    assert cls.class_traits(config=True)["post_auth_hook"].this_class.__name__ == "Authenticator"
