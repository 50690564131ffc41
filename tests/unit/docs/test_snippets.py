"""Every snippet in the documentation is right, and every file that it links to is there."""

from __future__ import annotations

import re
import textwrap

import pytest

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.doctor.examine import CHECKS
from tests.support.certificates import Authority
from tests.support.documentation import PAGES, Snippet, snippets
from tests.support.paths import ROOT
from tests.support.rules import RULES
from tests.support.snippets import validate

SNIPPETS = [pytest.param(one, id=one.place) for page in PAGES for one in snippets(page)]


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    """A folder with what examples find in /srv/prometheus, /etc/prometheus, /srv/usage-quotas."""
    folder = tmp_path_factory.mktemp("srv")
    authority = Authority(folder)
    pair = authority.issue("hub")
    authority.file.rename(folder / "ca.crt")
    pair.certificate.rename(folder / "tls.crt")
    pair.key.rename(folder / "tls.key")
    (folder / "token").write_text("token\n")
    (folder / "jupyterhub.token").write_text("token\n")
    (folder / "texts").mkdir()
    (folder / RULES.name).symlink_to(RULES)
    return folder


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_is_right(snippet, srv, tmp_path):
    for path in srv.iterdir():
        (tmp_path / path.name).symlink_to(path)
    validate(snippet, tmp_path)


def test_commands_that_are_only_indented_are_understood(tmp_path):
    """Older pages have commands without a fence."""
    count = 0
    for page in PAGES:
        for block in re.findall(r"(?:^    .+\n)+", page.read_text(), re.M):
            text = textwrap.dedent(block)
            if text.startswith("jupyterhub-usage-quotas ") and "[" not in text:
                validate(Snippet(page, 0, "bash", text), tmp_path)
                count += 1
    assert count


WRONG = {
    "a language that nobody knows": ("ini", "[x]\n"),
    "no language": ("", "x\n"),
    "an option that there is not": ("python", "c.UsageConfig.prometheus = 'http://p'\n"),
    "another's option that there is not": ("python", "c.GitHubOAuthenticator.teams = True\n"),
    "a class that nobody knows": ("python", "c.Hub.x = 1\n"),
    "Python that does not run": ("python", "c.UsageConfig.deadline = five\n"),
    "a policy with an error": ("python", "c.UsageQuotaManager.policy = [{'resource': 'x'}]\n"),
    "a document of some kind": ("yaml", "x: 1\n"),
    "a list": ("yaml", "- x\n"),
    "a key that the chart has not": ("yaml", "hub: {usageQuotas: {}}\n"),
    "a network policy that there cannot be": (
        "yaml",
        "hub: {networkPolicy: {ingress: [{port: 9000}]}}\n",
    ),
    "values with an error": ("yaml", "hub: {config: {UsageQuotaManager: {policies: []}}}\n"),
    "values with Python that does not run": ("yaml", "hub: {extraConfig: {x: 'c.x.y = z'}}\n"),
    "a scrape that Prometheus refuses": ("yaml", "scrape_configs: [{job: x}]\n"),
    "a rule that Prometheus refuses": ("yaml", "groups: [{name: x, rules: [{expr: 1 +}]}]\n"),
    "scrapes of a chart that it refuses": ("yaml", "extraScrapeConfigs: '- job: x'\n"),
    "annotations that are not all": ("yaml", "metricAnnotationsAllowList: ['pods=[x]']\n"),
    "an expression that is none": ("promql", "sum by (\n"),
    "a command that nobody knows": ("bash", "rm -r x\n"),
    "a command that bash cannot read": ("bash", "helm upgrade 'x\n"),
    "an option that check has not": ("bash", "jupyterhub-usage-quotas check --users x\n"),
    "the same in a pod": (
        "console",
        "$ kubectl exec deploy/hub -- jupyterhub-usage-quotas check --users x\n",
    ),
    "the same after a line that goes on": (
        "console",
        "$ sudo /opt/tljh/hub/bin/jupyterhub-usage-quotas check \\\n    --users x\n",
    ),
    "output without a command": ("console", "x\n"),
}


@pytest.mark.parametrize(("language", "text"), WRONG.values(), ids=WRONG)
def test_a_snippet_that_is_wrong_would_be_found(language, text, tmp_path):
    # Each of them fails in its own way.
    with pytest.raises(Exception):  # noqa: B017, PT011
        validate(Snippet(ROOT / "README.md", 1, language, text), tmp_path)


def test_snippets_are_found_wherever_they_are(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```yaml\n# x.yaml\na: 1\n```\n1. x\n   ```python\n   b = 1\n   ```\n"
        "```{toctree}\nx\n```\n```\nno language\n```\n    ```ini\n    c\n    ```\n"
    )
    found = [(one.line, one.language, one.text, one.name) for one in snippets(page)]
    assert found == [
        (1, "yaml", "# x.yaml\na: 1\n", "x.yaml"),
        (6, "python", "b = 1\n", ""),
        (12, "", "no language\n", ""),
        (15, "ini", "c\n", ""),
    ]


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


def test_every_check_of_the_doctor_is_explained_in_their_order():
    page = (ROOT / "docs/how-to/troubleshooting.md").read_text()
    explained = re.findall(r"^## (\S+)$", page, re.MULTILINE)
    assert explained == [check.name for check in CHECKS]
