"""The house keeps its order: the rules are pure, nothing grows too long.

That imports run one way is held by the import linter: `make lint`, `.importlinter`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_usage_quotas.quotas.resources import RESOURCES

PACKAGE = "jupyterhub_usage_quotas"
ROOT = Path(__file__).parent.parent.parent / PACKAGE
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE = 350
LONGEST_FUNCTION = 45

# What cannot be in the rules: a clock, a file, the network, chance, another process.
IMPURE_MODULES = {
    *("asyncio", "glob", "http", "io", "logging", "os", "pathlib", "random", "secrets", "select"),
    *("shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading"),
    *("time", "urllib", "uuid", "warnings", "importlib", "multiprocessing", "builtins"),
}
IMPURE_BUILTINS = {"open", "print", "input", "exec", "eval", "__import__"}
IMPURE_ATTRIBUTES = {
    *("now", "utcnow", "today", "time_ns", "monotonic", "perf_counter", "localtime", "getLogger"),
    *("open", "read_text", "read_bytes", "write_text", "write_bytes"),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules_of(folder: str) -> list[Path]:
    found = [path for path in FILES if path.relative_to(ROOT).parts[0] == folder]
    assert found, f"{folder} is where it was"
    return found


def imports_of(source: str, path: Path) -> Iterator[str]:
    """What a module imports, as full dotted names; names imported from a package are part of it."""
    here = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def outside_of_the_rules(source: str, path: Path) -> list[str]:
    """Imports that are neither of the rules themselves, nor pydantic, nor the standard library, nor
    the list of reasons, which the exceptions of the package have, too.
    """
    return [
        imported
        for imported in imports_of(source, path)
        if not imported.startswith(f"{PACKAGE}.quotas.")
        and imported != f"{PACKAGE}.conventions.Reason"
        and imported.partition(".")[0] not in {"__future__", "pydantic", *sys.stdlib_module_names}
    ]


def impurities(source: str) -> list[str]:
    """Clocks, files, logging and the like, by import or by call."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in IMPURE_MODULES]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found += [node.module] if node.module.partition(".")[0] in IMPURE_MODULES else []
        elif isinstance(node, ast.Attribute) and node.attr in IMPURE_ATTRIBUTES:
            found.append(node.attr)
        elif isinstance(node, ast.Name) and node.id in IMPURE_BUILTINS:
            found.append(node.id)
    return found


def window_kinds() -> dict[str, set[str]]:
    """The classes in `quotas/windows/` that are held against a limit: those with an `account`. And
    their methods.
    """
    found = {}
    for path in sorted((ROOT / "quotas" / "windows").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and path.name != "base.py":
                methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
                found |= {node.name: methods} if "account" in methods else {}
    return found


def told_apart(source: str, kinds: Set[str]) -> list[str]:
    """Windows that are told apart by their kind: by `isinstance`, by `match`, by `type`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, of]):
                looked = ast.walk(of)
            case ast.MatchClass(cls=of):
                looked = ast.walk(of)
            case ast.Compare():
                looked = ast.walk(node)
            case _:
                continue
        names = {one.id for one in looked if isinstance(one, ast.Name)}
        found += sorted(names & kinds)
    return found


RESOURCES_NAMED_IN = {
    "quotas/resources.py",
    "quotas/other_names.py",
    # Where home storage comes from, and its options.
    "metering/sources/home_storage.py",
    "config/homes.py",
    # The options about prices, and a key of what the cost monitor answers.
    "config/prices.py",
    "services/cost_monitor/answers.py",
    # Credits as another service has them.
    "config/credits/values.py",
    "config/credits/options.py",
    "hub/credits/terms.py",
    "hub/credits/balances.py",
    "hub/pages/credits.py",
    "hub/pages/pages.py",
    "hub/launch/prices.py",
    # An option that is called so.
    "hub/viewer_service.py",
    # Names that others depend on: of metrics, labels, keys of policies, options.
    "conventions.py",
    "metering/sources/server_metrics.py",
    "quotas/policy/selector.py",
    "config/usage.py",
}
"""Where a resource may be named."""

RESOURCE_NAMES = RESOURCES.keys() - {"time"}
"""Not `time`, which is a word of other things, too."""


def resources_named(source: str) -> list[str]:
    """Resources that are named in code, by a text or as a constant of their own."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in RESOURCE_NAMES:
            found.append(node.value)
        elif isinstance(node, ast.Name | ast.alias):
            name = node.id if isinstance(node, ast.Name) else node.name
            found += [name] if name.lower() in RESOURCE_NAMES and name.isupper() else []
    return found


def long_functions(source: str) -> list[tuple[str, int]]:
    """Functions whose body, without the docstring, has more lines than fit on a screen."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if lines > LONGEST_FUNCTION:
                found.append((node.name, lines))
    return found


def findings(paths: list[Path], find: Callable[[Path], list[Any]]) -> dict[str, list[Any]]:
    return {name_of(path): found for path in paths if (found := find(path))}


# --- the house ----------------------------------------------------------------------------------


def test_the_rules_import_nothing_that_is_not_pure():
    rules = modules_of("quotas")
    assert findings(rules, lambda path: outside_of_the_rules(path.read_text(), path)) == {}


COST_RULES = ("values", "money", "attribute", "spreading", "groups", "report")
"""The files of costs that are rules, too."""


def test_the_rules_of_costs_are_pure_as_well():
    rules = [ROOT / "costs" / f"{name}.py" for name in COST_RULES]

    def outside(path: Path) -> list[str]:
        mine = f"{PACKAGE}.costs."
        found = outside_of_the_rules(path.read_text(), path)
        return [one for one in found if not one.startswith(mine)] + impurities(path.read_text())

    assert findings(rules, outside) == {}
    inside = {f"{PACKAGE}.costs.{name}" for name in COST_RULES}
    for path in rules:
        imported = [one for one in imports_of(path.read_text(), path) if ".costs." in one]
        assert {one.rpartition(".")[0] for one in imported} <= inside


def test_the_rules_read_no_clock_and_no_file_and_log_nothing():
    assert findings(modules_of("quotas"), lambda path: impurities(path.read_text())) == {}


def test_window_kinds_are_told_apart_in_their_own_folder_only():
    kinds = window_kinds()
    assert kinds.keys() >= {"Rolling", "Calendar", "Refill", "Current"}
    outside = [path for path in FILES if path.parent.name != "windows"]
    assert findings(outside, lambda path: told_apart(path.read_text(), kinds.keys())) == {}


def test_every_kind_of_window_has_a_text_of_its_own():
    # Every object has a `__str__`: types do not show that a window has none.
    assert {kind for kind, methods in window_kinds().items() if "__str__" not in methods} == set()


def test_no_resource_is_named_but_where_it_is_defined_and_measured():
    assert {"memory", "cpu", "gpu", "credits", "storage"} <= RESOURCE_NAMES
    elsewhere = [
        path
        for path in FILES
        if name_of(path) not in RESOURCES_NAMED_IN and path.parent.name != "demo"
    ]
    assert findings(elsewhere, lambda path: resources_named(path.read_text())) == {}


def test_nothing_imports_the_tests():
    of_tests = {"tests", "conftest", "pytest", "hypothesis", "respx"}

    def imported(path: Path) -> list[str]:
        names = imports_of(path.read_text(), path)
        return [name for name in names if name.partition(".")[0] in of_tests]

    assert findings(FILES, imported) == {}


def test_a_file_is_one_idea():
    def too_long(path: Path) -> list[int]:
        length = len(path.read_text().splitlines())
        return [length] if length > LONGEST_FILE else []

    assert findings(FILES, too_long) == {}


def test_a_function_fits_on_a_screen():
    assert findings(FILES, lambda path: long_functions(path.read_text())) == {}


# --- these tests themselves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "import httpx",
        "from traitlets import Unicode",
        "from .. import conventions",
        "from ..metering.meter import Meter",
        "import jupyterhub_usage_quotas.metering",
        "def late():\n    import yaml",
    ],
)
def test_an_import_that_is_not_pure_would_be_found(line):
    assert outside_of_the_rules(line, ROOT / "quotas" / "x.py")


def test_an_import_of_the_rules_own_would_not_be_found():
    lines = (
        "from ..conventions import Reason\nfrom .usage import Usage\n"
        "from .policy.scope import Scope\nfrom pydantic import BaseModel"
    )
    assert outside_of_the_rules(lines, ROOT / "quotas" / "x.py") == []


@pytest.mark.parametrize(
    "line",
    [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "clock = datetime.now",
        "import time",
        "from time import monotonic",
        "import logging",
        "from logging import getLogger",
        "import os.path",
        "open('x')",
        "Path('x').read_text()",
        "print('x')",
        "__import__('time')",
    ],
)
def test_what_is_not_pure_would_be_found(line):
    assert impurities(line)


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(x, Rolling)",
        "isinstance(x.window, Calendar | Rolling)",
        "isinstance(x, (str, Rolling))",
        "type(x) is Rolling",
        "x != Rolling(y)",
        "match x:\n    case Rolling(length=y):\n        pass",
    ],
)
def test_a_window_that_is_told_apart_would_be_found(line):
    assert told_apart(line, {"Rolling", "Calendar"})


@pytest.mark.parametrize(
    "line",
    [
        "rates['gpu']",
        "if resource in ('memory', 'cpu'):\n    pass",
        "from .resources import STORAGE",
        "STORAGE.name",
        "{'credits': 1}",
    ],
)
def test_a_resource_that_is_named_would_be_found(line):
    assert resources_named(line)


def test_a_function_that_is_too_long_would_be_found():
    docstring = '    """One.\n' + "\n" * 99 + '    """\n'
    fits = "def fits():\n" + docstring + "    x = 1\n" * LONGEST_FUNCTION
    too_long = "async def too_long():\n" + "    x = 1\n" * (LONGEST_FUNCTION + 1)
    assert long_functions(fits + too_long) == [("too_long", LONGEST_FUNCTION + 1)]
