"""`gpu_resources`: which patterns of devices are taken, and which cannot be meant."""

from __future__ import annotations

import pytest
from traitlets import TraitError
from traitlets.config import Config

from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.quotas.other_names import DEVICES


@pytest.mark.parametrize(
    "pattern",
    [
        *DEVICES,
        "nvidia.com/*",
        "example.com/Big_GPU.x-1",
        "x/gpu",
        "*gpu*",
        "*/gpu",
        "nvidia.com?gpu",
        "nvidia.com/mig-[17]g*",
    ],
)
def test_a_pattern_of_devices_is_taken(pattern):
    assert UsageConfig(gpu_resources=[pattern]).gpu_resources == [pattern]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "empty pattern"),
        ("*", "counts cpu"),
        ("*/*", "ephemeral_storage"),
        ("*.*", "ephemeral_storage"),
        ("?*/?*", "ephemeral_storage"),
        ("*-*", "ephemeral"),
        ("*_*", "ephemeral_storage"),
        ("h*", "hugepages"),
        ("[a-z]*", "counts cpu"),
        ("memory", "counts memory"),
        (" nvidia.com/gpu", "no device"),
        ("nvidia.com/gpu ", "no device"),
        ("nvidia.com/gpu\n", "no device"),
        ("nvidia.com /gpu", "no device"),
        ("NVIDIA.com/gpu", "lower case"),
        ("Nvidia.com/*", "lower case"),
        ("gpu", "a domain"),
        ("nvidia_com_gpu", "a domain"),
        ("nvidia.com/", "no device"),
        ("/gpu", "no device"),
        ("nvidia.com/gpu/x", "no device"),
        ("nvidia.com/\uff47pu", "no device"),
        ("nvidia.com/gpu[", "closes"),
    ],
)
@pytest.mark.parametrize("beside", [[], ["nvidia.com/gpu"]])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern, said, beside):
    config = Config()
    config.UsageConfig.gpu_resources = [*beside, pattern]
    with pytest.raises(TraitError, match=said) as refused:
        _ = UsageConfig(config=config).gpu_resources
    assert "'nvidia.com/gpu'" in str(refused.value)
