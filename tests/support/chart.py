"""What Zero to JupyterHub makes of values, without Helm and without a cluster.

Written from the chart's documentation: Helm merges values files (mappings are merged, everything
else is replaced); the Hub loads `hub.services`, `hub.loadRoles`, `hub.config`, the files of
`jupyterhub_config.d` and `hub.extraConfig`, in this order; what is said of network policies, ports
and files becomes objects of Kubernetes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from jsonschema import Draft7Validator

from tests.support.helm import defaults, newest, schema
from tests.support.paths import ROOT

FOLDER = ROOT / "charts-config"
VALUES = FOLDER / "zero-to-jupyterhub"
MINIMAL = (VALUES / "minimal.yaml",)
FULL = (VALUES / "full.yaml", VALUES / "full-secrets.yaml")
CONFIG_D = "/usr/local/etc/jupyterhub/jupyterhub_config.d"

Values = dict[str, Any]

CONFIG = """
import glob, json
from pathlib import Path

values = json.loads(Path({values!r}).read_text())["hub"]
services = list(c.JupyterHub.services) if "services" in c.JupyterHub else []
for name, spec in values.get("services", {{}}).items():
    services.append({{"name": name, "api_token": {token!r} + name}} | spec)
c.JupyterHub.services = services
c.JupyterHub.load_roles = [
    {{"name": name}} | role for name, role in values.get("loadRoles", {{}}).items()
]
for section, options in values.get("config", {{}}).items():
    c[section].update(options)
for path in sorted(glob.glob({config_d!r} + "/*.py")):
    exec(compile(Path(path).read_text(), path, "exec"))
for _, text in sorted(values.get("extraConfig", {{}}).items()):
    exec(text)
"""

TOKEN = "a-token-that-the-chart-would-make-for-"


def merged(files: tuple[Path, ...]) -> Values:
    """The values of several files, as Helm merges them."""
    made: Values = {}
    for path in files:
        made = _over(made, yaml.safe_load(path.read_text()))
    return made


def _over(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{key: _over(below.get(key), value) for key, value in above.items()}}
    return above


def hub_config(directory: Path, values: Values, replaced: Mapping[str, str]) -> str:
    """The Hub's configuration from these values, its files in `directory`.

    `replaced` are texts that mean something only in the pod, and what they are here.
    """
    config_d = directory / "jupyterhub_config.d"
    config_d.mkdir(parents=True)
    text = json.dumps(values).replace(CONFIG_D, str(config_d))
    for before, after in replaced.items():
        assert before in text, f"{before} is in the values"
        text = text.replace(before, after)
    adapted = json.loads(text)
    for file in adapted["hub"].get("extraFiles", {}).values():
        Path(file["mountPath"]).write_text(file["stringData"])
    (directory / "values.json").write_text(text)
    return CONFIG.format(values=str(directory / "values.json"), token=TOKEN, config_d=str(config_d))


def faults_of_values(values: Values) -> list[str]:
    """What the newest chart would say against them."""
    (chart, *_) = newest("jupyterhub")
    checked = Draft7Validator(schema(chart.name, chart.version))
    whole = _over(defaults(chart.name), values)
    return [f"{error.json_path}: {error.message}" for error in checked.iter_errors(whole)]


def objects(values: Values) -> list[dict[str, Any]]:
    """The objects of Kubernetes that values become, as far as they are about it."""
    hub, chp = values["hub"], values.get("proxy", {}).get("chp", {})
    service = hub.get("service", {})
    return [
        _policy("hub", hub.get("networkPolicy", {})),
        _policy("proxy", chp.get("networkPolicy", {})),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "hub", "annotations": service.get("annotations", {})},
            "spec": {
                "selector": {"app.kubernetes.io/component": "hub"},
                "ports": [
                    {"name": "hub", "port": 8081, "targetPort": "http"},
                    *service.get("extraPorts", []),
                ],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hub"},
            "stringData": {key: file["stringData"] for key, file in _files(values)},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "hub"},
            "spec": {
                "containers": [
                    {
                        "name": "hub",
                        "image": f"{hub['image']['name']}:{hub['image']['tag']}",
                        "volumeMounts": [
                            {"name": "files", "mountPath": file["mountPath"], "subPath": key}
                            for key, file in _files(values)
                        ],
                    }
                ]
            },
        },
    ]


def _files(values: Values) -> list[tuple[str, dict[str, str]]]:
    files = values["hub"].get("extraFiles", {})
    for file in files.values():
        assert PurePosixPath(file["mountPath"]).is_absolute()
        assert set(file) <= {"mountPath", "stringData", "mode"}
    return list(files.items())


def _policy(component: str, policy: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": component},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": component}},
            "policyTypes": ["Ingress", "Egress"],
            **policy,
        },
    }
