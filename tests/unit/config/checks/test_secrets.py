"""Session secrets: what somebody may try is refused, what a machine made at random is not."""

from __future__ import annotations

import base64
import random
import string
import uuid

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.viewer import make_viewer
from jupyterhub_usage_quotas.errors import ConfigurationError


def configured(secret: str) -> str:
    return make_viewer(Config({"UsageViewer": {"session_secret_key": secret}})).session_secret


@pytest.mark.parametrize(
    "secret",
    [
        "a",
        "x7Kp2mQ9vR4tY8z",  # random, and too short
        "a" * 64,
        "ab" * 32,
        "aB3$" * 8,
        "f1c2b3" * 6,
        "0123456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210",
        "abcdefghijklmnopqrstuvwxyz",
        "12345678901234567890",
        "qwertyuiopasdfghjkl",
        "1qaz1qaz1qaz1qaz",
        "aaaaaaaabbbbbbbbcccccccc",
        "password12345678",
        "Password-Password",
        "P@ssw0rd12345678",
        "passwordpassword1",
        "changeme-changeme",
        "test-test-test-test-1",
        "jupyterhub-jupyterhub",
        " " * 32,
        "\u0130" * 20,
    ],
)
def test_what_is_easy_to_guess_is_refused_and_not_repeated(secret):
    with pytest.raises(ConfigurationError) as refused:
        configured(secret)
    (error,) = refused.value.errors
    assert error.startswith("UsageViewer.session_secret_key: easy to guess: got ")
    assert "`openssl rand -hex 32`" in error
    assert len(secret) < 5 or secret not in error


MAKERS = {
    "openssl rand -hex 32": lambda made: made.randbytes(32).hex(),
    "openssl rand -hex 16": lambda made: made.randbytes(16).hex(),
    "openssl rand -base64 24": lambda made: base64.b64encode(made.randbytes(24)).decode(),
    "a password manager's": lambda made: "".join(
        made.choices(string.ascii_letters + string.digits + string.punctuation, k=16)
    ),
    "uuid": lambda made: str(uuid.UUID(int=made.getrandbits(128), version=4)),
}


@pytest.mark.parametrize(
    "secret",
    [
        # as 2i2c's package shows them: long phrases, which deployments may have
        "use-a-secure-random-key-in-production",
        # to be filled in: doubted, not refused
        "<a long random text>",
        "correct horse battery staple",
    ],
)
def test_a_long_phrase_is_accepted(secret):
    assert configured(secret) == secret


@pytest.mark.parametrize("how", MAKERS)
def test_what_is_random_is_accepted(how):
    made = random.Random(12)
    for _ in range(30):
        secret = MAKERS[how](made)
        assert configured(secret) == secret
