"""The snippets in the documentation: what each of them is, whether it is right.

A snippet is recognised by its language and by what is in it. One that nothing recognises is a
fault: there is no snippet that is not looked at.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import yaml
from botocore.loaders import Loader
from dockerspawner import DockerSpawner
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.spawner import Spawner
from kubespawner import KubeSpawner
from ldapauthenticator import LDAPAuthenticator
from ltiauthenticator.lti13.auth import LTI13Authenticator
from oauthenticator.azuread import AzureAdOAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.google import GoogleOAuthenticator
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.commands import parser
from jupyterhub_usage_quotas.config.costs import CostMonitor, make_cost_monitor
from jupyterhub_usage_quotas.config.files.earlier import NO_LONGER_NEEDED, spelling_of_today
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.config.viewer import UsageViewer, make_viewer
from jupyterhub_usage_quotas.services.viewer.app import TEMPLATES
from jupyterhub_usage_quotas.services.web.assets import Assets
from jupyterhub_usage_quotas.services.web.page_handler import LAYOUT, LAYOUT_OF_PART
from jupyterhub_usage_quotas.services.web.rendering import Renderer
from tests.support.chart import FOLDER, faults_of_values, hub_config, objects
from tests.support.documentation import Snippet
from tests.support.rules import promtool, written

PROGRAM = "jupyterhub-usage-quotas"
CLASSES = {
    cls.__name__: cls
    for cls in (
        *(Authenticator, GenericOAuthenticator, GitHubOAuthenticator, GoogleOAuthenticator),
        *(AzureAdOAuthenticator, LDAPAuthenticator, LTI13Authenticator),
        *(JupyterHub, Spawner, KubeSpawner, DockerSpawner),
        *(UsageConfig, UsageQuotaManager, UsageViewer, CostMonitor),
    )
}
"""What a configuration in the documentation is about; nothing else is known here."""

PROGRAMS = {
    *("apt-get", "base64", "cd", "chmod", "chown", "curl", "docker", "echo", "git", "grep", "helm"),
    *("journalctl", "kubectl", "make", "openssl", "pipx", "promtool", "python3", "systemctl"),
    "tee",
    *("tljh-config", PROGRAM),
}


# --- configuration ------------------------------------------------------------------------------


def accept(config: Config) -> None:
    """Fail unless every option there is, and the quota system accepts its own."""
    for section, options in config.items():
        assert section in CLASSES, f"nothing here knows {section}"
        today = {spelling_of_today(section, name) for name in options} - set(NO_LONGER_NEEDED)
        unknown = today - set(CLASSES[section].class_trait_names(config=True))
        assert not unknown, f"{section} has no options {sorted(unknown)}"
    # An example may leave them to another.
    config.UsageConfig.setdefault("credit_prices", {"cpu": 1})
    UsageQuotaManager(config=config)
    make_viewer(config)
    if "CostMonitor" in config:
        config.CostMonitor.setdefault("allow_without_token", True)
        make_cost_monitor(config)


def python(text: str, folder: Path) -> None:
    """A configuration of JupyterHub."""
    config = Config()
    for placed in ("/srv/prometheus/", "/etc/prometheus/", "/srv/usage-quotas/"):
        text = text.replace(placed, f"{folder}/")
    exec(text, {"c": config})
    accept(config)


def zero_to_jupyterhub(values: dict[str, Any], folder: Path) -> None:
    """Values of its chart."""
    assert faults_of_values(values) == []
    image = {"image": {"name": "k8s-hub", "tag": "4.4.0"}}  # the chart has one
    for one in objects({**values, "hub": image | values.get("hub", {})}):
        kubernetes_validate.validate(one, "1.28", strict=True)
    config = Config()
    exec(hub_config(folder / "pod", values, {}), {"c": config})
    accept(config)


# --- Prometheus ---------------------------------------------------------------------------------


def prometheus(document: Any, folder: Path) -> None:
    """Its configuration file."""
    text = json.dumps(document).replace("/etc/prometheus/", f"{folder}/")
    checked("config", json.loads(text), folder)


def checked(kind: str, document: Any, folder: Path) -> None:
    """Fail unless promtool takes it."""
    done = promtool("check", kind, written(folder / f"{kind}.yaml", document))
    assert done.returncode == 0, done.stdout + done.stderr


def prometheus_chart(values: dict[str, Any], folder: Path) -> None:
    """Values of the charts prometheus, kube-prometheus-stack or kube-state-metrics."""
    for key, value in values.items():
        PARTS[key](value, folder)


def allow_list(given: Any, _folder: Path) -> None:
    """The annotations that kube-state-metrics exports: those that are needed, all of them."""
    ours = yaml.safe_load((FOLDER / "kube-state-metrics.yaml").read_text())
    assert given == ours["metricAnnotationsAllowList"]


def kube_state_metrics(values: dict[str, Any], folder: Path) -> None:
    """Values of its chart."""
    assert set(values) == {"metricAnnotationsAllowList"}
    allow_list(values["metricAnnotationsAllowList"], folder)


def scrapes(given: Any, folder: Path) -> None:
    """Scrape configurations, or a text of them."""
    jobs = yaml.safe_load(given) if isinstance(given, str) else given
    text = re.sub(r'"/etc/secrets/[\w/]+/token"', f'"{folder}/token"', json.dumps(jobs))
    checked("config", {"scrape_configs": json.loads(text)}, folder)


def server(values: dict[str, Any], _folder: Path) -> None:
    """What the chart prometheus is told of its server."""
    assert set(values) <= {"retention", "extraSecretMounts", "global"}


def operator(values: dict[str, Any], folder: Path) -> None:
    """What kube-prometheus-stack is told of its Prometheus."""
    spec = values.pop("prometheusSpec")
    assert not values
    scrapes(spec.pop("additionalScrapeConfigs", []), folder)
    assert set(spec) <= {"retention"}


PARTS: dict[str, Callable[[Any, Path], None]] = {
    "kube-state-metrics": kube_state_metrics,
    "metricAnnotationsAllowList": allow_list,
    "extraScrapeConfigs": scrapes,
    "server": server,
    "prometheus": operator,
}


def promql(text: str, _folder: Path) -> None:
    """One expression in each paragraph."""
    for expression in text.split("\n\n"):
        promql_parser.parse(expression)


# --- YAML, JSON and commands --------------------------------------------------------------------


def of_yaml(text: str, folder: Path) -> None:
    """Whatever it is."""
    document = yaml.safe_load(text)
    assert isinstance(document, dict), "nothing here knows what this is"
    keys = set(document)
    if keys <= {"hub", "proxy", "singleuser"}:
        zero_to_jupyterhub(document, folder)
    elif keys <= {"global", "scrape_configs", "rule_files", "remote_write"}:
        prometheus(document, folder)
    elif keys == {"groups"}:
        checked("rules", document, folder)
    else:
        assert keys <= set(PARTS), "nothing here knows what this is"
        prometheus_chart(document, folder)


def policies(text: str, _folder: Path) -> None:
    """Policies in JSON, which `simulate` tries."""
    assert tuple(UsageQuotaManager().in_place(json.loads(text)))


def bash(text: str, _folder: Path) -> None:
    """Commands: bash can read them, the programs are known, and ours understands its arguments."""
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in text.replace("\\\n", " ").splitlines():
        for command in re.split(r" (?:\||&&) ", line):
            known_command(command)


def known_command(command: str) -> None:
    """Fail unless this is a command that makes sense as far as can be said here."""
    words = shlex.split(command, comments=True)
    words = words[1:] if words[:1] == ["sudo"] else words
    if not words:
        return
    assert Path(words[0]).name in PROGRAMS, f"{words[0]} is no program that is known here"
    for at, word in enumerate(words):
        if Path(word).name == PROGRAM and words[at - 1] != "install":
            arguments = words[at + 1 :]
            end = next((i for i, one in enumerate(arguments) if one in (">", "|")), None)
            understood(arguments[:end])


def understood(arguments: list[str]) -> None:
    """Fail unless our program understands these arguments."""
    try:
        parser().parse_args(arguments)
    except SystemExit as ended:
        if ended.code == 0:  # --version
            return
        raise AssertionError(f"{PROGRAM} does not understand {arguments}") from ended


def console(text: str, folder: Path) -> None:
    """Commands after a prompt, and what they print."""
    assert text.startswith("$ "), "the first line is a command"
    commands, continued = [], False
    for line in text.splitlines():
        if line.startswith("$ ") or continued:
            commands.append(line.removeprefix("$ "))
            continued = line.endswith("\\")
    bash("\n".join(commands) + "\n", folder)


def plain(_text: str, _folder: Path) -> None:
    """What people read: there is nothing to validate."""


def html(text: str, folder: Path) -> None:
    """A page of the dashboard: the Hub's page around it, or only the part that changes."""
    (folder / "recipe.html").write_text(text)
    renderer = Renderer(
        TEMPLATES,
        Assets({}),
        template_paths=[str(folder)],
        hub_prefix="/hub/",
        base_url="/services/usage-quota/",
    )
    for layout, is_whole in ((LAYOUT, True), (LAYOUT_OF_PART, False)):
        page = renderer.render("recipe.html", None, "nonce", usage_quota_layout=layout)
        assert ("</html>" in page) is is_whole
        assert ('class="container usage-quota"' in page) is is_whole
        assert '<div id="usage-quota-live">' in page


def hcl(text: str, _folder: Path) -> None:
    """Terraform: its brackets are closed, and AWS knows what it allows."""
    assert all(text.count(one) == text.count(other) for one, other in ("{}", "[]", "()"))
    allowed = re.findall(r'"ce:(\w+)"', text)
    known = Loader().load_service_model("ce", "service-2")["operations"]
    assert allowed
    assert set(allowed) <= set(known)


VALIDATORS: dict[str, Callable[[str, Path], None]] = {
    "bash": bash,
    "console": console,
    "hcl": hcl,
    "html": html,
    "json": policies,
    "promql": promql,
    "python": python,
    "text": plain,
    "yaml": of_yaml,
}


def validate(snippet: Snippet, folder: Path) -> None:
    """Fail unless a snippet is recognised and right; `folder` is for files."""
    assert snippet.language in VALIDATORS, f"{snippet.place}: no language that is known here"
    VALIDATORS[snippet.language](snippet.text, folder)
