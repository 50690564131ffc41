"""The layer of templates and files between the Hub's own and those of an admin.

An admin's `page.html` that extends `templates/page.html` extends ours, and ours extends the Hub's.
Without one of the admin's, ours comes first. The few files that our templates need are served
among the Hub's static files.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
from jinja2.ext import Extension
from jupyterhub.handlers.static import CacheControlStaticFilesHandler
from tornado.web import StaticFileHandler

from ..types import HubApp

HERE = Path(__file__).parent
TEMPLATES = str(HERE / "templates")
FILES = str(HERE / "static")
FILES_PREFIX = "usage-quotas/"
"""What our files' paths start with below the Hub's `static/`."""
HUBS_OWN = "usage-quotas-below"
"""With this prefix, our templates name those of the Hub that they extend."""


def add_layer(app: HubApp) -> None:
    """Put our templates and files between those of the Hub `app` and its admin's."""
    hubs = app._template_paths_default()[0]
    app.template_paths = [*(path for path in app.template_paths if path != hubs), TEMPLATES, hubs]
    options = dict(app.jinja_environment_options)
    options["extensions"] = [*options.get("extensions", ()), _layer(hubs)]
    app.jinja_environment_options = options
    usual = app.tornado_settings.get("static_handler_class", CacheControlStaticFilesHandler)
    app.tornado_settings = {**app.tornado_settings, "static_handler_class": _with_our_files(usual)}


def _layer(hubs: str) -> type[Extension]:
    """An extension that gives an environment's loader the layer."""

    class Layer(Extension):
        def __init__(self, environment: jinja2.Environment) -> None:
            super().__init__(environment)
            below, ours = jinja2.FileSystemLoader(hubs), jinja2.FileSystemLoader(TEMPLATES)
            prefixes = {HUBS_OWN: below, "templates": jinja2.ChoiceLoader([ours, below])}
            inner = [environment.loader] if environment.loader else []
            environment.loader = jinja2.ChoiceLoader([jinja2.PrefixLoader(prefixes), *inner])

    return Layer


def _with_our_files(usual: type[StaticFileHandler]) -> type[StaticFileHandler]:
    """A handler of static files that has ours, too."""

    class WithOurFiles(usual):  # type: ignore[misc, valid-type] # a class only known when it runs
        @classmethod
        def get_absolute_path(cls, root: str, path: str) -> str:
            """Where a file is."""
            if path.startswith(FILES_PREFIX):
                root, path = FILES, path.removeprefix(FILES_PREFIX)
            found: str = super().get_absolute_path(root, path)
            return found

        def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
            """The same path, if it is one that may be served."""
            if self.path.startswith(FILES_PREFIX):
                root = FILES
            allowed: str | None = super().validate_absolute_path(root, absolute_path)
            return allowed

    return WithOurFiles
