"""The documentation, as it is built: without a warning, with links that lead somewhere, and a
reference that has everything in it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.commands.doctor import Found
from jupyterhub_usage_quotas.config.costs import CostMonitor
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.config.viewer import UsageViewer
from jupyterhub_usage_quotas.doctor.examine import CHECKS
from jupyterhub_usage_quotas.hub.launch.enforcement import UsageQuotaManager
from jupyterhub_usage_quotas.services.viewer.api.openapi import document
from tests.support.expressions import alerts
from tests.support.forked import run_command
from tests.support.paths import ROOT
from tests.support.site import DOCS, HOME, Page, Site, build


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    target = tmp_path_factory.mktemp("site")
    done = build(target)
    # What is printed otherwise is no warning: the theme says when it misses matplotlib.
    assert (done.returncode, done.stderr) == (0, "")
    return Site(target / "html")


# --- pages and links ----------------------------------------------------------------------------


def test_every_page_is_built(site: Site):
    pages = (path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
    written = {path.with_suffix("") for path in pages if path.parts[0] != "_build"}
    built = {page.path.relative_to(site.folder).with_suffix("") for page in site.pages.values()}
    of_sphinx = {Path("genindex"), Path("search")}
    assert written == built - of_sphinx
    assert len(written) > 20


def test_every_link_leads_somewhere(site: Site):
    wrong, count = [], 0
    for page in site.pages.values():
        for target in page.targets:
            count += 1
            if site.leads_nowhere(target, page.path):
                wrong.append(f"{page.path.relative_to(site.folder)}: {target}")
    assert wrong == []
    assert count > 1000


@pytest.mark.parametrize(
    "target", ["alert.html", "alerts.html#nobody", "#nobody", "../_images/none.png", ".."]
)
def test_a_link_that_leads_nowhere_would_be_found(site: Site, target):
    page = site.page("how-to/alerts")
    assert site.leads_nowhere(target, page.path)
    assert not site.leads_nowhere("alerts.html#usagequotasmeterstale", page.path)


def test_every_page_is_in_the_menu(site: Site):
    """A reader who goes from menu to menu comes to all of them."""
    found, left = set(), [site.page("index").path.resolve()]
    while left:
        path = left.pop()
        if path in found:
            continue
        found.add(path)
        for link in site.pages[path].soup.select("nav a[href], .toctree-wrapper a[href]"):
            target = (path.parent / str(link["href"]).partition("#")[0]).resolve()
            left += [target] if target in site.pages else []
    missing = {path.relative_to(site.folder).stem for path in set(site.pages) - found}
    assert missing <= {"genindex", "search"}


def test_a_faulty_page_would_stop_the_build(tmp_path):
    copy = tmp_path / "docs"
    shutil.copytree(DOCS, copy, ignore=shutil.ignore_patterns("_build"))
    # What is included, and what can be downloaded, is beside it.
    for beside in ("charts-config", "jupyterhub_usage_quotas/quotas"):
        shutil.copytree(ROOT / beside, tmp_path / beside)
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    (copy / "orphan.md").write_text("# Orphan\n\n[x](nowhere.md), [y](how-to/alerts.md#nobody)\n")
    done = build(tmp_path / "built", copy, "dummy")
    assert done.returncode == 1
    said = re.findall(r"orphan\.md.*WARNING: (.*)", done.stderr)
    assert len(said) == 3, done.stderr
    assert "isn't included in any toctree" in done.stderr
    assert len(re.findall("WARNING", done.stderr)) == 3, done.stderr


def test_images_are_described(site: Site):
    for page in site.pages.values():
        for image in page.soup.select("article img"):
            assert len(str(image.get("alt", ""))) > 20, f"{page.path}: {image}"


# --- what others link to ------------------------------------------------------------------------


def pages_named(text: str) -> set[str]:
    """The pages that a text names by their files, as they are built."""
    named = re.findall(r"\bdocs/([\w/-]+)\.md(#[\w-]+)?", text)
    return {f"{page}.html{anchor}" for page, anchor in named}


def test_every_runbook_is_there(site: Site):
    for rule in alerts():
        (target,) = re.findall(r"}}([\w/.#-]+){{", rule["annotations"]["runbook_url"])
        assert not site.leads_nowhere(target, site.folder / "index.html"), target
        heading = site.page("how-to/alerts").soup.find(id=target.partition("#")[2])
        assert rule["alert"] in heading.get_text()


def test_every_check_of_the_doctor_is_explained_where_it_says(site: Site):
    for check in CHECKS:
        url = Found((), HOME).explained_at(check.name)
        target = url.removeprefix(HOME)
        assert target != url
        assert not site.leads_nowhere(target, site.folder / "index.html"), url


def test_every_page_that_is_named_elsewhere_is_there(site: Site):
    folders = ("charts-config", "jupyterhub_usage_quotas", "frontend/src")
    given = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in {".yaml", ".json", ".py", ".html", ".md", ".ts"}:
                given |= pages_named(path.read_text(encoding="utf-8"))
    assert len(given) >= len(list(alerts()))
    for target in given:
        assert not site.leads_nowhere(target, site.folder / "index.html"), target


# --- the reference ------------------------------------------------------------------------------


def headings(page: Page) -> set[str]:
    return {one.get_text().removesuffix("#") for one in page.soup.select("h2, h3")}


def test_every_option_is_in_the_reference(site: Site):
    common = set(UsageConfig.class_trait_names(config=True))
    expected = {f"c.UsageConfig.{name}" for name in common}
    for cls in (UsageQuotaManager, UsageViewer, CostMonitor):
        own = set(cls.class_trait_names(config=True)) - common
        expected |= {f"c.{cls.__name__}.{name}" for name in own}
    page = site.page("reference/configuration")
    written = {name for name in headings(page) if name.startswith("c.")}
    assert written == expected
    assert len(written) > 40


@pytest.mark.parametrize("cls", [UsageConfig, UsageQuotaManager, UsageViewer, CostMonitor])
def test_every_option_has_its_help(site: Site, cls):
    said = "".join(site.page("reference/configuration").text.replace("`", "").split())
    for name, trait in cls.class_traits(config=True).items():
        # Backticks become code, and indentation a block.
        words = "".join(trait.help.replace("`", "").split())
        assert words, name
        assert words in said, name


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("deadline", "number, default: 5.0"),
        ("usage_source", "one of 'kube-state-metrics', 'hub', 'recorded', 'sessions', default:"),
        ("policy", "list, default: []"),
        ("enforcement", "one of 'enforce', 'shadow', 'off', default: 'enforce'"),
        ("failover_open", "True or False, default: True"),
        ("prometheus_url", "text, default: see below"),
    ],
)
def test_an_option_says_its_type_and_default(site: Site, option, words):
    soup = site.page("reference/configuration").soup
    (heading,) = (one for one in soup.select("h3") if one.get_text() == _heading(one, option))
    assert heading.find_next("p").get_text().startswith(words)


def _heading(found, option: str) -> str:
    section = found.get_text().split(".")[1]
    return f"c.{section}.{option}#"


def help_of(*command: str) -> str:
    """What the program itself says."""
    done = run_command(*command, "--help", environment={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    return done.stdout


OPTION = r"^  (?:-\w, )?(--[a-z-]+)"


def test_every_command_and_all_of_its_options_are_in_the_reference(site: Site):
    listed = re.findall(r"^    ([a-z-]+) ", help_of(), re.M)
    assert {"check", "demo", "doctor"} <= set(listed)
    soup = site.page("reference/command-line").soup
    for name in listed:
        asked = set(re.findall(OPTION, help_of(*name.split()), re.M)) - {"--help"}
        if not asked:
            within = re.findall(r"^    ([a-z-]+) ", help_of(name), re.M)
            assert within
            listed += [f"{name} {one}" for one in within]
        (section,) = (
            one.parent
            for one in soup.select("h2")
            if one.get_text() == f"jupyterhub-usage-quotas {name}#"
        )
        written = {term.get_text().split()[0] for term in section.select("dt")}
        assert {one for one in written if one.startswith("-")} == asked


def test_every_path_of_the_api_is_in_the_reference(site: Site):
    described = document("/", ["memory"])
    expected = {
        f"{method.upper()} {path}"
        for path, methods in described["paths"].items()
        for method in methods
    }
    page = site.page("reference/api")
    assert {one for one in headings(page) if one.startswith(("GET ", "POST "))} == expected
    assert set(described["components"]["schemas"]) <= headings(page)
    for path, methods in described["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                assert parameter["name"] in page.text, path
