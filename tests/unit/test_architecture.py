"""The house keeps its order: imports run one way, the rules are pure, nothing grows too long."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "jupyterhub_usage_quotas"
ROOT = Path(__file__).parent.parent.parent / PACKAGE
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE = 350
LONGEST_FUNCTION = 45

# What the modules of a folder may import, besides themselves. Parts of this package begin with a
# dot; "stdlib" is the standard library.
MAY_IMPORT = {
    "quotas": {"stdlib", "pydantic"},
    "metering": {
        *("stdlib", "botocore", "httpx", "pydantic", "tenacity", "typing_extensions"),
        *(".quotas", ".errors", ".conventions"),
    },
    "services": {
        *("stdlib", "httpx", "jinja2", "jupyterhub", "markupsafe", "tornado", "traitlets"),
        *(".quotas", ".metering", ".ledger", ".known", ".hub", ".errors", ".conventions"),
        ".wording",
    },
    "doctor": {
        *("stdlib", "httpx", "jupyterhub", "traitlets"),
        *(".quotas", ".metering", ".services", ".hub", ".errors", ".conventions"),
    },
    "commands": {
        *("stdlib", "traitlets", ".quotas", ".metering", ".hub", ".known", ".doctor", ".demo"),
        *(".errors", ".conventions"),
    },
    "conventions.py": {"stdlib"},
    "errors.py": {"stdlib", "traitlets"},
}
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


def part_of(imported: str) -> str:
    """What an import counts as: ".metering" of this package, "stdlib", or a distribution."""
    top, _, rest = imported.partition(".")
    if top == PACKAGE:
        return "." + rest.partition(".")[0]
    return "stdlib" if top in sys.stdlib_module_names or top == "__future__" else top


def forbidden_imports(source: str, path: Path, allowed: set[str]) -> list[str]:
    own = "." + path.relative_to(ROOT).parts[0].removesuffix(".py")
    return [
        imported
        for imported in imports_of(source, path)
        if part_of(imported) not in allowed | {own}
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


# --- the house ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "path"),
    [(folder, path) for folder in MAY_IMPORT for path in modules_of(folder)],
    ids=lambda value: name_of(value) if isinstance(value, Path) else value,
)
def test_imports_run_one_way(folder, path):
    assert forbidden_imports(path.read_text(), path, MAY_IMPORT[folder]) == []


@pytest.mark.parametrize("path", modules_of("quotas"), ids=name_of)
def test_the_rules_read_no_clock_and_no_file_and_log_nothing(path):
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_imports_the_tests(path):
    imported = {name.partition(".")[0] for name in imports_of(path.read_text(), path)}
    assert not imported & {"tests", "conftest", "pytest", "hypothesis", "respx"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_one_idea(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_function_fits_on_a_screen(path):
    assert long_functions(path.read_text()) == []


# --- these tests themselves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "import httpx",
        "import jupyterhub.user",
        "from traitlets import Unicode",
        "from .. import conventions",
        "from ..errors import UsageQuotasError",
        "from ..metering.meter import Meter",
        "from jupyterhub_usage_quotas.hub import setup",
        "import jupyterhub_usage_quotas.metering",
        "def late():\n    import yaml",
        "if TYPE_CHECKING:\n    from ..hub.config import UsageConfig",
    ],
)
def test_an_import_that_runs_the_other_way_would_be_found(line):
    assert forbidden_imports(line, ROOT / "quotas" / "x.py", MAY_IMPORT["quotas"])


@pytest.mark.parametrize(
    "line",
    [
        "from .units import show",
        "from . import units",
        "from jupyterhub_usage_quotas.quotas.units import show",
        "import collections.abc",
        "from __future__ import annotations",
        "from pydantic import BaseModel",
    ],
)
def test_an_import_of_ones_own_would_not_be_found(line):
    assert forbidden_imports(line, ROOT / "quotas" / "x.py", MAY_IMPORT["quotas"]) == []


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


def test_a_function_that_is_too_long_would_be_found():
    docstring = '    """One.\n' + "\n" * 99 + '    """\n'
    fits = "def fits():\n" + docstring + "    x = 1\n" * LONGEST_FUNCTION
    too_long = "async def too_long():\n" + "    x = 1\n" * (LONGEST_FUNCTION + 1)
    assert long_functions(fits + too_long) == [("too_long", LONGEST_FUNCTION + 1)]
