"""Every Python example in the documentation is a configuration that is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager, conventions
from tests.support.certificates import Authority

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [
    pytest.param(example, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, example in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    )
]


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    """A folder with what the examples find in /srv/prometheus."""
    folder = tmp_path_factory.mktemp("srv")
    authority = Authority(folder)
    pair = authority.issue("hub")
    authority.file.rename(folder / "ca.crt")
    pair.certificate.rename(folder / "tls.crt")
    pair.key.rename(folder / "tls.key")
    (folder / "token").write_text("token\n")
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted(example, srv):
    config = Config()
    config.UsageConfig.credit_prices = {"cpu": 1}  # an example may leave them to another
    exec(example.replace("/srv/prometheus/", f"{srv}/"), {"c": config})
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
