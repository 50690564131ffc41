"""The real Helm, the charts that values are for, and what Helm makes of both.

A chart is the real one where it is at hand, and always a small one that is made of facts about it:
see tests/data/charts/README.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tests.support.paths import ROOT
from tests.support.programs import ProgramFailed
from tests.support.rules import written

FACTS = ROOT / "tests/data/charts"
PULLED = ROOT / ".tools/charts"
"""Where `scripts/pull-charts` puts the real ones; the variable CHARTS names another folder."""


@dataclass(frozen=True)
class Chart:
    """A version of a chart: packed, the real one; or to be made of facts."""

    name: str
    version: str
    packed: Path | None = None

    @property
    def path(self) -> Path:
        """Where Helm finds it."""
        return self.packed or _built(self.name, self.version)

    def __str__(self) -> str:
        return f"{self.name}-{self.version}{'-real' if self.packed else ''}"


@cache
def facts(name: str) -> dict[str, Any]:
    """What is known of a chart."""
    return yaml.safe_load((FACTS / name / "facts.yaml").read_text())


def charts(name: str) -> list[Chart]:
    """The versions of a chart that are supported, oldest first, then the real ones there are."""
    known = facts(name)["versions"].items()
    built = [Chart(name, version) for version, one in known if one.get("supported", True)]
    folder = Path(os.environ.get("CHARTS", PULLED))
    real = sorted(folder.glob(f"{name}-[0-9]*.tgz"))
    return [*built, *(Chart(name, path.stem.removeprefix(f"{name}-"), path) for path in real)]


def newest(name: str) -> list[Chart]:
    """The newest one that is made of facts, and the real ones."""
    found = charts(name)
    return [[one for one in found if not one.packed][-1], *(one for one in found if one.packed)]


# --- Helm ---------------------------------------------------------------------------------------


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Helm; raises `ProgramFailed` where it is missing."""
    found = shutil.which("helm", path=f"{ROOT / '.tools/bin'}:{os.environ['PATH']}")
    if found is None:
        raise ProgramFailed("helm is not installed: scripts/install-programs --tests installs it")
    command = [found, *(str(one) for one in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def lint(chart: Chart, files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    """`helm lint --strict` of a chart with values files: warnings count, too."""
    return helm("lint", "--strict", chart.path, *_values(files))


def template(
    chart: Chart, files: Sequence[Path], release: str = "jhub", *more: str
) -> subprocess.CompletedProcess[str]:
    """`helm template` of a chart with values files, and more options."""
    return helm("template", release, chart.path, "--namespace=jhub", *_values(files), *more)


@cache
def rendered(
    chart: Chart, files: tuple[Path, ...], release: str = "jhub", *more: str
) -> list[dict[str, Any]]:
    """The objects of Kubernetes that a chart becomes with values, those in lists by themselves."""
    done = template(chart, files, release, *more)
    assert done.returncode == 0, done.stderr
    documents = [one for one in yaml.load_all(done.stdout, yaml.CSafeLoader) if one]
    return [
        item for one in documents for item in (one["items"] if one["kind"] == "List" else [one])
    ]


def the(documents: Sequence[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The one object of a kind that has this name."""
    (found,) = (one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def containers(documents: Sequence[dict[str, Any]], deployment: str) -> list[dict[str, Any]]:
    """Those of a Deployment's pod."""
    return the(documents, "Deployment", deployment)["spec"]["template"]["spec"]["containers"]


def accepted(chart: Chart, files: Sequence[Path]) -> None:
    """Fail unless `helm lint` has nothing to say against these values."""
    done = lint(chart, files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 chart(s) linted, 0 chart(s) failed" in done.stdout


def _values(files: Sequence[Path]) -> Iterator[str]:
    return (f"--values={path}" for path in files)


# --- charts made of facts -----------------------------------------------------------------------


@cache
def _folder() -> TemporaryDirectory[str]:
    """Kept as long as the process runs: a chart is used by many tests and changed by none."""
    return TemporaryDirectory(prefix="charts-")


@cache
def _built(name: str, version: str) -> Path:
    return _build(name, version, Path(_folder().name) / f"{name}-{version}")


def _build(name: str, version: str, folder: Path) -> Path:
    """A chart that accepts what the facts say, and refuses the rest; and those below it."""
    known = facts(name)["versions"][version]
    below = known.get("subchart", {})
    shutil.copytree(FACTS / name / "templates", folder / "templates")
    chart = {
        "apiVersion": "v2",
        "name": name,
        "version": version,
        "appVersion": str(known.get("app_version", "")),
        "icon": "https://charts.example.org/icon.svg",
        "annotations": {"pods-carry": " ".join(known.get("pods_carry", []))},
        "dependencies": [{"name": one, "version": below[one]} for one in below],
    }
    written(folder / "Chart.yaml", chart)
    written(folder / "values.yaml", defaults(name))
    written(folder / "values.schema.json", schema(name, version))
    for one in below:
        _build(one, below[one], folder / "charts" / one)
    return folder


def _of_version(name: str, version: str) -> dict[str, dict[str, Any]]:
    known = facts(name)
    return {**known["values"], **known["versions"][version].get("differs", {})}


def defaults(name: str) -> dict[str, Any]:
    """The values that a chart has by itself."""
    made: dict[str, Any] = {}
    for path, fact in facts(name)["values"].items():
        if path and "*" not in path and ("default" in fact or fact.get("type") == "object"):
            *above, last = path.split("/")
            place = made
            for key in above:
                place = place.setdefault(key, {})
            place[last] = fact.get("default", place.get(last, {}))
    return made


def schema(name: str, version: str) -> dict[str, Any]:
    """The JSON schema of a chart's values."""
    made: dict[str, dict[str, Any]] = {}
    for path, fact in _of_version(name, version).items():
        node = made[path] = {key: fact[key] for key in ("type", "enum", "required") if key in fact}
        if fact.get("closed"):
            node["additionalProperties"] = False
        if "one_of" in fact:
            node["oneOf"] = [{"required": [key]} for key in fact["one_of"]]
        if path:
            parent, _, key = path.rpartition("/")
            if key == "*":
                pattern = _of_version(name, version)[parent].get("keys", ".*")
                made[parent].setdefault("patternProperties", {})[pattern] = node
            else:
                made[parent].setdefault("properties", {})[key] = node
    return {"$schema": "http://json-schema.org/draft-07/schema#", **made[""]}
