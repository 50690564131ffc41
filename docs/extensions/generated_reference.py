"""Directives that write the reference from what it is about, so that it cannot be out of date.

    ```{options} UsageConfig       the configuration options of a class, from its traits
    ```{command-line}              the subcommands and their options, from the parser itself
    ```{http-api}                  the paths of the dashboard's API, from its OpenAPI document
    ```{error-tree}                the exceptions, as their module draws them
    ```{check-json}                what `check --json` prints, from its model
    ```{simulate-json}             what `simulate --json` prints, from its model

Each makes Markdown, which is read as if it stood in the page.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Float, Int, List, TraitType, Undefined, Unicode

from jupyterhub_usage_quotas import errors
from jupyterhub_usage_quotas.commands import parser
from jupyterhub_usage_quotas.commands.check import CheckReport
from jupyterhub_usage_quotas.config.costs import CostMonitor
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.config.viewer import UsageViewer
from jupyterhub_usage_quotas.hub.launch.enforcement import UsageQuotaManager
from jupyterhub_usage_quotas.quotas.simulation.report import SimulationReport
from jupyterhub_usage_quotas.services.viewer.api.openapi import document
from jupyterhub_usage_quotas.services.web.openapi import schemas

CLASSES = {one.__name__: one for one in (UsageConfig, UsageQuotaManager, UsageViewer, CostMonitor)}

Json = Mapping[str, Any]


# --- options ------------------------------------------------------------------------------------


def options_of(name: str) -> Iterator[str]:
    """The options of a class, without those that it has from `UsageConfig`."""
    cls = CLASSES[name]
    common = set() if cls is UsageConfig else set(UsageConfig.class_trait_names(config=True))
    traits = cls.class_traits(config=True)
    for option in sorted(set(traits) - common):
        trait = traits[option]
        yield f"### `c.{name}.{option}`\n"
        yield f"*{_type_of(cls, trait)}*, default: {_default_of(cls, trait)}\n"
        yield _prose(inspect.cleandoc(str(trait.help))) + "\n"


def _prose(text: str) -> str:
    """Text in which angle brackets mean themselves; what is indented is code, and stays."""
    lines = text.splitlines()
    return "\n".join(line if line[:4].isspace() else line.replace("<", "\\<") for line in lines)


def _type_of(cls: type[UsageConfig], trait: TraitType[Any, Any]) -> str:
    if choices := getattr(trait, "values", None):
        return "one of " + ", ".join(f"`{choice!r}`" for choice in choices)
    if choices := getattr(trait, "enum_class", None):
        return "one of " + ", ".join(f"`{choice.value!r}`" for choice in choices)
    if words := trait.metadata.get("written"):
        return str(words)
    if isinstance(trait, AnyTrait):
        # Checked where it is used: its default says what it is.
        return OF_ANY[type(_made_default(cls, trait))]
    return next(words for kind, words in TYPES.items() if isinstance(trait, kind))


TYPES = {Bool: "True or False", Dict: "dict", Float: "number", Int: "whole number"}
TYPES |= {List: "list", Unicode: "text"}
OF_ANY = {bool: "True, False or a list", dict: "dict", list: "list", str: "text"}
OF_ANY |= {type(None): "as described"}


def _made_default(cls: type[UsageConfig], trait: TraitType[Any, Any]) -> Any:
    made = getattr(cls, f"_{trait.name}_default", None)
    return made(cls()) if made else trait.default()


def _default_of(cls: type[UsageConfig], trait: TraitType[Any, Any]) -> str:
    """The default as it would be written, if it does not depend on where this runs."""
    made = getattr(cls, f"_{trait.name}_default", None)
    if made and re.search(r"environ|self\.config", inspect.getsource(made.func)):
        return "see below"
    value = _made_default(cls, trait)
    if value is None or value is Undefined:
        return "none"
    return f"`{getattr(value, 'value', value)!r}`"


# --- command line -------------------------------------------------------------------------------


def command_line() -> Iterator[str]:
    """Every subcommand with its options."""
    for name, command in subcommands(parser()):
        yield f"## `{name}`\n"
        if command.description:
            yield f"{command.description}\n"
        yield f"```text\n{' '.join(command.format_usage().split())}\n```\n"
        for action in command._actions:
            if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                yield f"{_written(action)}\n: {_explained(action)}\n"


def subcommands(
    of: argparse.ArgumentParser,
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """All the subcommands of a parser, with the whole of their names."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield command.prog, command
                yield from subcommands(command)


def _written(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{f'{option} {value}'.strip()}`" for option in action.option_strings)


def _explained(action: argparse.Action) -> str:
    # What stands in the place of the default is for the terminal, and left as it is there.
    text = (action.help or "").replace("%(default)s", str(action.default))
    return "; ".join(filter(None, ("required" if action.required else "", text))) or "–"


# --- HTTP API -----------------------------------------------------------------------------------


def http_api() -> Iterator[str]:
    """Every path of the API, and the shapes of what is answered."""
    described = document("/services/usage-quota/", ("memory", "cpu", "gpu", "time"))
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            yield f"## `{method.upper()} {path}`\n"
            yield f"{operation['summary']}.\n"
            yield from _parameters(operation.get("parameters", ()))
            if body := operation.get("requestBody"):
                yield f"The body: {_contents(body['content'])}.\n"
            yield from _responses(operation["responses"])
    yield "## Shapes\n"
    yield "JSON objects, by the names that are used above.\n"
    yield from _shapes(described["components"]["schemas"])


def check_json() -> Iterator[str]:
    """What `check --json` prints, and the shapes that it is made of."""
    shapes = schemas([CheckReport])
    yield from _shape(shapes.pop(CheckReport.__name__))
    yield from _shapes(shapes)


def simulate_json() -> Iterator[str]:
    """What `simulate --json` prints, and the shapes that it is made of."""
    shapes = schemas([SimulationReport])
    yield from _shape(shapes.pop(SimulationReport.__name__))
    yield from _shapes(shapes)


def _shapes(shapes: Mapping[str, Json]) -> Iterator[str]:
    for name, shape in sorted(shapes.items()):
        yield f"### {name}\n"
        yield from _shape(shape)


def _parameters(parameters: Sequence[Json]) -> Iterator[str]:
    if not parameters:
        return
    yield "| parameter | in | value | |\n|---|---|---|---|\n" + "".join(
        f"| `{one['name']}`{' (required)' if one.get('required') else ''} | {one['in']}"
        f" | {_type(one['schema'])} | {_cell(one.get('description', ''))} |\n"
        for one in parameters
    )


def _responses(responses: Json) -> Iterator[str]:
    yield "| status | | content |\n|---|---|---|\n" + "".join(
        f"| {status} | {_cell(one['description'])} | {_contents(one.get('content', {}))} |\n"
        for status, one in sorted(responses.items())
    )


def _contents(contents: Json) -> str:
    return ", ".join(f"`{kind}`: {_type(one['schema'])}" for kind, one in contents.items()) or "–"


def _shape(shape: Json) -> Iterator[str]:
    if description := shape.get("description"):
        yield f"{description}\n"
    if properties := shape.get("properties"):
        yield "| key | value | |\n|---|---|---|\n" + "".join(
            f"| `{name}` | {_type(one)} | {_cell(one.get('description', ''))} |\n"
            for name, one in properties.items()
        )
    else:
        yield f"{_type(shape)}\n"


def _type(schema: Json) -> str:
    """A JSON schema in a few words."""
    if target := schema.get("$ref"):
        name = target.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("enum"):
        return ", ".join(f"`{json.dumps(choice)}`" for choice in choices)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kinds = schema.get("type", "anything")
    kind = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    more = [kind, schema.get("format", ""), _bounds(schema)]
    if "default" in schema:
        more.append(f"default `{json.dumps(schema['default'])}`")
    if isinstance(schema.get("additionalProperties"), Mapping):
        more.append(f"of {_type(schema['additionalProperties'])}")
    return ", ".join(filter(None, more))


def _bounds(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- Sphinx -------------------------------------------------------------------------------------


# --- exceptions ---------------------------------------------------------------------------------


def error_tree() -> Iterator[str]:
    """The drawing in the docstring of `errors`: what is indented there."""
    lines = inspect.cleandoc(str(errors.__doc__)).splitlines()
    yield "```text"
    yield from (line.removeprefix("    ") for line in lines if line.startswith("    "))
    yield "```"


class Generated(SphinxDirective):
    """What stands in the place of a directive."""

    has_content = False
    makes: ClassVar[Any]

    def run(self) -> list[nodes.Node]:
        """Read the Markdown that is made."""
        text = "\n".join(type(self).makes(*self.arguments))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Options(Generated):
    """The options of a class."""

    required_arguments = 1
    makes = staticmethod(options_of)


class CommandLine(Generated):
    """The subcommands."""

    makes = staticmethod(command_line)


class CheckJson(Generated):
    """What `check --json` prints."""

    makes = staticmethod(check_json)


class SimulateJson(Generated):
    """What `simulate --json` prints."""

    makes = staticmethod(simulate_json)


class HttpApi(Generated):
    """The API of the dashboard."""

    makes = staticmethod(http_api)


class ErrorTree(Generated):
    """The exceptions."""

    makes = error_tree


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    app.add_directive("options", Options)
    app.add_directive("command-line", CommandLine)
    app.add_directive("http-api", HttpApi)
    app.add_directive("error-tree", ErrorTree)
    app.add_directive("check-json", CheckJson)
    app.add_directive("simulate-json", SimulateJson)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
