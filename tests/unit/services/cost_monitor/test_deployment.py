"""`charts-config/cost-monitor.yaml` is what Kubernetes takes, and the service starts with."""

from __future__ import annotations

import kubernetes_validate
import yaml
from traitlets.config import Config

from jupyterhub_usage_quotas.config.costs import make_cost_monitor
from tests.support.chart import FOLDER


def test_the_objects_are_valid_and_the_configuration_too():
    objects = list(yaml.safe_load_all((FOLDER / "cost-monitor.yaml").read_text()))
    for one in objects:
        kubernetes_validate.validate(one, "1.28", strict=True)
    by_kind = {one["kind"]: one for one in objects}
    config = Config()
    exec(by_kind["ConfigMap"]["data"]["cost_monitor_config.py"], {"c": config})
    monitor = make_cost_monitor(config)
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": monitor.port}]
