"""Configuration of Sphinx: how the documentation is built. `make docs` builds it."""

from __future__ import annotations

import sys
from pathlib import Path

from jupyterhub_usage_quotas import __version__

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "Usage quotas for JupyterHub"
author = "the contributors to jupyterhub-usage-quotas"
copyright = author  # noqa: A001 the name is Sphinx's
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "generated_reference",  # extensions/generated_reference.py
]
exclude_patterns = ["_build"]
suppress_warnings: list[str] = []
nitpicky = True

# Headings have the same anchors here as on GitHub, so that links work in both.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
copybutton_prompt_text = "$ "

# What stands in single quotes and double quotes is code more often than not.
smartquotes = False
# The theme brings the extension, and drawing cards needs fonts.
ogp_social_cards = {"enable": False}

html_theme = "jupyterhub_sphinx_theme"
html_title = project
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
