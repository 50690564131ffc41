"""A language in which every text of the catalogues is in brackets, so that the others stand out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from bs4 import BeautifulSoup, NavigableString, Tag

from jupyterhub_usage_quotas.status.catalogues import TEMPLATE

NAME = "eo"
"""A language that nobody ships."""
ATTRIBUTES = ("aria-label", "aria-valuetext", "title", "alt", "placeholder", "data-said")


def write_pseudo_catalogue(folder: Path) -> None:
    """Write its catalogue, as an admin adds a language."""
    with TEMPLATE.open("rb") as file:
        template = read_po(file)
    made = Catalog(locale=NAME, charset="utf-8", fuzzy=False)
    for one in template:
        if isinstance(one.id, str) and one.id:
            made.add(one.id, f"⟦{one.id}⟧")
        elif one.id:
            made.add(one.id, tuple(f"⟦{text}⟧" for text in one.id))
    with (folder / f"{NAME}.po").open("wb") as file:
        write_po(file, made)


def outside_of_brackets(text: str) -> str:
    """What is in no bracket."""
    depth, kept = 0, []
    for one in text:
        if one == "⟦":
            depth += 1
        elif one == "⟧":
            depth -= 1
        elif not depth:
            kept.append(one)
    return "".join(kept)


def untranslated(text: str, data: Iterable[str]) -> list[str]:
    """The words of a text that are in no bracket and are none of these data."""
    rest = outside_of_brackets(text)
    for one in sorted(data, key=len, reverse=True):
        rest = rest.replace(one, " ")
    return re.findall(r"[^\W\d_]{2,}", rest)


def texts_of(part: Tag) -> Iterator[str]:
    """What people see and hear of a part of a page: each block's text, and what is said instead."""
    for script in part.find_all(["script", "style", "code"]):
        script.decompose()
    yield part.get_text(" ")
    for one in [part, *part.find_all(True)]:
        for name in ATTRIBUTES:
            if value := one.get(name):
                yield str(value)


def faults(html: str, selectors: Iterable[str], data: Iterable[str]) -> list[str]:
    """The words without a translation in these parts of a page, which must be there."""
    page = BeautifulSoup(html, "html.parser")
    found = []
    for selector in selectors:
        parts = page.select(selector)
        assert parts, f"{selector} is on the page"
        for part in parts:
            assert not isinstance(part, NavigableString)
            found += [word for text in texts_of(part) for word in untranslated(text, data)]
    return found
