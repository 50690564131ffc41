"""HTML that an admin wrote for pages, without what could run or load anything."""

from __future__ import annotations

import nh3
from markupsafe import Markup

TAGS = frozenset(
    {
        *("a", "abbr", "b", "code", "em", "i", "kbd", "q", "s", "small", "span", "strong", "u"),
        *("sub", "sup", "br", "hr", "p", "pre", "blockquote", "h2", "h3", "h4"),
        *("ul", "ol", "li", "dl", "dt", "dd"),
    }
)
ATTRIBUTES = {"a": {"href", "title"}, "abbr": {"title"}}
SCHEMES = frozenset({"http", "https", "mailto", "tel"})


def sanitised(html: str) -> Markup:
    """Text, links, emphasis and lists of some HTML; whatever else is in it is taken out."""
    cleaned = nh3.clean(
        html,
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer",
    )
    return Markup(cleaned)  # noqa: S704 that is what it was made for
