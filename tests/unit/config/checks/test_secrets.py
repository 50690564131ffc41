"""Session secrets: what somebody may try is refused, what a machine made at random is not."""

from __future__ import annotations

import base64
import random
import string
import uuid

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.viewer import make_viewer, viewer_remarks
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
        # easy beyond the first characters, too
        "a" * 40 + "b" * 40,
        "password12345678" * 20,
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


@pytest.mark.parametrize(
    "secret",
    [
        "use-a-secure-random-key-in-production",
        "CHANGE_ME_TO_A_RANDOM_32_BYTE_STRING",
        "your-secret-key-here-please",
        "This is my very secret session key, please change!",
        "correct horse battery staple",
        "replace-with-a-long-random-string",
        "jupyterhub-session-secret-key-00jupyterhub-session-secret-key-01",
    ],
)
def test_an_example_is_doubted_however_long_it_is(secret):
    config = Config({"UsageViewer": {"session_secret_key": secret}})
    (line,) = viewer_remarks(config)
    assert line.startswith("UsageViewer.session_secret_key consists of the words of an example")
    assert secret not in line


@pytest.mark.parametrize(
    "secret",
    [
        "the quick brown fox jumps over the lazy dog",
        "ein langer Satz, den niemand sonst kennt",
        "jupyterhub-session-secret-f4c1a09be77d2f8c",
        "0b7c2f1e9a834d56",
        "秘密の鍵はとても長いのです、誰も知らない",
    ],
)
def test_a_phrase_of_ones_own_is_not_doubted(secret):
    assert configured(secret) == secret
    assert viewer_remarks(Config({"UsageViewer": {"session_secret_key": secret}})) == []


def test_what_is_random_counts_wherever_it_is():
    end = random.Random(4).randbytes(16).hex()
    for begin in ("a" * 32, "session-secret-key-jupyterhub-00", "password" * 8):
        assert configured(begin + end) == begin + end


@pytest.mark.parametrize("how", MAKERS)
def test_what_is_random_is_accepted(how):
    made = random.Random(12)
    for _ in range(30):
        secret = MAKERS[how](made)
        assert configured(secret) == secret
