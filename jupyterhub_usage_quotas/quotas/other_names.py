"""What others call what servers request: device plugins, batch systems, systemd, Docker.

The expressions say whether options that spawners only pass on are about a resource; case aside.
"""

from __future__ import annotations

from typing import Final

DEVICES: Final = (
    "nvidia.com/gpu",  # https://github.com/NVIDIA/k8s-device-plugin
    "nvidia.com/gpu.shared",  # time-sliced or by MPS, where they are renamed
    "nvidia.com/mig-*",  # a part of one, also shared
    "amd.com/gpu",  # https://github.com/ROCm/k8s-device-plugin
    "amd.com/?px_nps?",  # a partition: spx_nps1, dpx_nps1, qpx_nps1, cpx_nps1, cpx_nps4 ...
    # https://github.com/intel/intel-device-plugins-for-kubernetes; its memory.max, millicores and
    # tiles say how much of one of these is used, and its i915_monitoring is for looking at them.
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
    "habana.ai/gaudi",  # https://docs.habana.ai, the device plugin for Kubernetes
    "google.com/tpu",  # https://cloud.google.com/kubernetes-engine/docs/how-to/tpus
    "aws.amazon.com/neuron",  # https://awsdocs-neuron.readthedocs-hosted.com, whole devices
    # https://gitee.com/ascend/ascend-device-plugin: devices (Ascend910, Ascend310P; with HAMi also
    # Ascend910B3), and parts of one (Ascend910-16c, Ascend310P-4c.3cpu); not Ascend910-memory.
    "huawei.com/Ascend???",
    "huawei.com/Ascend????",
    "huawei.com/Ascend?????",
    "huawei.com/Ascend*-?c*",
    "huawei.com/Ascend*-??c*",
)
"""What the vendors' own plugins for Kubernetes call devices that count as a GPU each. Amounts of
memory and shares of devices, which have names of their own, do not count.
"""

_WHOLE_NODES: Final = r"(?<!\S)--exclusive\b"
"""How Slurm is asked for all that a node has."""

MEMORY: Final = (
    r"(?<![a-z])([hs]_|request_|p?v?)v?mem(ory)?"
    r"(_\w+|max|limit|high|-per-\w+)?\b"
    rf"|{_WHOLE_NODES}"
)
"""With Grid Engine's h_vmem, PBS' pmem and HTCondor's request_memory."""

CPU: Final = (
    r"(?<![a-z])(request_|min|n|allowed)?cpus?\b|\bnano_cpus\b"
    r"|\b(cpuset|cpuquota|cpuaffinity|cpu_(limit|reservation|quota)|ntasks|ppn)\b"
    # Grid Engine's -pe; Slurm's -c and -n; several nodes of Slurm or PBS.
    r"|(?<!\S)(-pe\s|(?-i:-[cn])(?=[\s=\d]|$)|(--nodes[= ]|(?-i:-N)\s*)(?!1\b)\d)"
    rf"|(?<![\w-])nodes=(?!1\b)\d|{_WHOLE_NODES}"
)

GPU: Final = (
    # Kubernetes' claims are of devices, whose names only their classes say.
    r"gpu|nvidia|amd\.com|gaudi|neuron|ascend|\btpu|/dev/(kfd|dri)\b"
    r"|\bclaims\b|(?<!\S)(?-i:-G)\s*([\w.]+:)?\d+\b"
)
