"""Every Python example in the documentation is a configuration that is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager, conventions

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [
    pytest.param(example, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, example in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    )
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted(example):
    config = Config()
    config.UsageConfig.credit_prices = {"cpu": 1}  # an example may leave them to another
    exec(example, {"c": config})
    UsageQuotaManager(config=config)


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "jupyterhub_usage_quotas/quotas/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_metric_is_documented():
    page = (ROOT / "docs/reference/metrics.md").read_text()
    for name, value in vars(conventions).items():
        if isinstance(value, str) and value.startswith("jupyterhub_usage_quotas_"):
            assert value in page, name


def test_the_annotations_are_in_the_allow_list():
    values = (ROOT / "charts-config/kube-state-metrics.yaml").read_text()
    for annotation in (conventions.ANNOTATION_PROFILE, conventions.ANNOTATION_PROFILE_NAME):
        assert annotation in values
