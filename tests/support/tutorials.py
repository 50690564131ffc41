"""Following the tutorials: their own snippets, run as far as that can be done without a cluster of
machines, Helm and root.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.chart import hub_config, merged
from tests.support.documentation import named, snippets
from tests.support.hub import PYTHONS, SERVER, Hub, running_hub
from tests.support.kubernetes.cluster import Cluster
from tests.support.paths import ROOT
from tests.support.snippets import PROGRAM

TUTORIALS = ROOT / "docs/tutorials"
ZERO_TO_JUPYTERHUB = TUTORIALS / "zero-to-jupyterhub.md"
THE_LITTLEST_JUPYTERHUB = TUTORIALS / "the-littlest-jupyterhub.md"
PROMETHEUS = "http://prometheus-server.monitoring.svc.cluster.local"
NAMESPACE = "jhub"

CHART = """
os.environ["KUBECONFIG"] = {kubeconfig!r}
os.environ["POD_NAMESPACE"] = {namespace!r}
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.cleanup_servers = False
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.mem_guarantee = "1G"
c.KubeSpawner.delete_grace_period = 1
c.KubeSpawner.args = []
c.KubeSpawner.cmd = {command!r}
"""
"""What Zero to JupyterHub itself sets, as far as it matters; a small program is the server."""


def allowed_annotations() -> list[str]:
    """The annotations that kube-state-metrics exports, as the first step has it."""
    values = yaml.safe_load(named(ZERO_TO_JUPYTERHUB, "prometheus.yaml"))
    (allowed,) = values["kube-state-metrics"]["metricAnnotationsAllowList"]
    return re.fullmatch(r"pods=\[(.*)\]", allowed)[1].split(",")


@contextmanager
def upgraded(
    directory: Path,
    version: str,
    cluster: Cluster,
    prometheus: str,
    files: Sequence[str],
    replaced: dict[str, str] | None = None,
    more: str = "",
) -> Iterator[Hub]:
    """The Hub after `helm upgrade` with these files of the tutorial."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in files:
        paths.append(directory / name)
        paths[-1].write_text(named(ZERO_TO_JUPYTERHUB, name))
    chart = CHART.format(
        kubeconfig=str(cluster.kubeconfig),
        namespace=NAMESPACE,
        command=SERVER,
    )
    pod = directory / f"pod of {len(files)} files"
    of_values = hub_config(pod, merged(tuple(paths)), {PROMETHEUS: prometheus, **(replaced or {})})
    with running_hub(directory, version, chart + of_values + more) as hub:
        yield hub


LITTLE = """
os.environ.pop("POD_NAMESPACE", None)
"""
"""What The Littlest JupyterHub itself sets, as far as it matters."""


@contextmanager
def reloaded(
    directory: Path, version: str, replaced: dict[str, str], more: str = ""
) -> Iterator[Hub]:
    """The Hub of The Littlest JupyterHub with the configuration of its tutorial."""
    text = named(THE_LITTLEST_JUPYTERHUB, CONFIG_FILE)
    for before, after in replaced.items():
        assert before in text, before
        text = text.replace(before, after)
    with running_hub(directory, version, LITTLE + text + more) as hub:
        yield hub


CONFIG_FILE = "/opt/tljh/config/jupyterhub_config.d/usage-quotas.py"


def checks(page: Path) -> list[tuple[list[str], str]]:
    """The arguments of every `check` that a page shows, and what it says that is printed."""
    found = []
    for snippet in snippets(page):
        if snippet.language == "console" and f"{PROGRAM} check" in snippet.text:
            shown = re.fullmatch(r"\$ ((?:[^\n]*\\\n)*[^\n]*)\n(.*)", snippet.text, re.S)
            command, output = shown.groups()
            words = shlex.split(command.replace("\\\n", " "))
            at = next(i for i, word in enumerate(words) if Path(word).name == PROGRAM)
            found.append((words[at + 1 :], output))
    return found


def run_check(arguments: Sequence[str], config: Path, version: str) -> tuple[int, str]:
    """The exit code and the output of a `check` of a page, with the real configuration."""
    given = list(arguments)
    given[given.index("--config") + 1] = str(config)
    program = PYTHONS[version].parent / PROGRAM
    done = subprocess.run(
        [str(program), *given], capture_output=True, text=True, check=False, timeout=120
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def shape(text: str) -> str:
    """A text without its numbers, times and spaces: what is the same every time."""
    text = re.sub(r"\w+, \d+ \w+ \d{4}(,| at) \d\d:\d\d( UTC)?", "<time>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "<time>", text)
    # What remains is negative, or zero where a minute more or less was seen.
    text = re.sub(r"(?<![\w-])-(?=\d)", "", text)
    text = re.sub(r"\b\d+[smhd](?: \d+[smhd])*(?![\w-])", "<duration>", text)
    text = re.sub(r"\d[\d.,]*\b", "0", text)
    # Of a page, texts of elements are joined by spaces.
    return re.sub(r" (?=[.,])", "", " ".join(text.split()))
