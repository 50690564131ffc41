"""Reading gettext catalogues: those of the package and an admin's, checked before they are used."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations

from ..errors import ConfigurationError
from ..quotas.messages import one_of, shown, wrong
from .language import ENGLISH, Language

FOLDER = Path(__file__).parent / "locale"
SUFFIX = ".po"
NAME = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?", re.ASCII)
"""How languages are named: "de", "pt_BR"."""
TEMPLATE = FOLDER / "usage-quotas.pot"
"""All texts, without a translation: what translators begin with."""


def load_language(name: str, folder: str = "") -> Language:
    """The language of this name ("de", "pt_BR"), with the catalogues that there are for it: the
    package's, and those of an admin's folder, whose words take precedence.

    Raises `ConfigurationError`.
    """
    if folder and not _is_folder(folder):
        raise ConfigurationError([f"language_folder: {wrong('not a folder', folder)}"])
    catalogues = available(folder)
    if not NAME.fullmatch(name):
        raise _unknown(name, catalogues)
    found = [path for one in _spellings(name) for path in catalogues.get(one, ())]
    try:
        locale = Locale.parse(name.replace("-", "_"))
    except (ValueError, UnknownLocaleError) as error:
        raise _unknown(name, catalogues) from error
    if not found and locale.language != "en":
        raise _unknown(name, catalogues)
    if locale.language == "en" and not locale.territory:
        locale = ENGLISH.locale
    merged: Translations | None = None
    for path in found:
        read = _compiled(checked(path))
        if merged is None:
            merged = read
        else:
            merged.add_fallback(read)
    return Language(locale, merged) if merged else Language(locale)


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # longer than names can be, or with a character that none has
        return False


def available(folder: str = "") -> Mapping[str, list[Path]]:
    """The files of every language that has any: an admin's first. English needs none."""
    found: dict[str, list[Path]] = {"en": []}
    for place in (*([Path(folder)] if folder else []), FOLDER):
        for path in sorted(place.glob(f"*{SUFFIX}")):
            found.setdefault(path.stem, []).append(path)
    return found


def _spellings(name: str) -> Iterator[str]:
    """The names of the catalogues for a language: "de_AT" has those of "de", too."""
    name = name.replace("-", "_")
    yield name
    if "_" in name:
        yield name.partition("_")[0]


def _unknown(name: str, catalogues: Mapping[str, list[Path]]) -> ConfigurationError:
    problem = wrong("language has no catalogue", name, one_of(sorted(catalogues)))
    return ConfigurationError([problem])


def checked(path: Path) -> Catalog:
    """Read a catalogue; raises `ConfigurationError` for one that cannot be used."""
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, abort_invalid=True)
    except (OSError, PoFileError, UnicodeError, ValueError, LookupError) as error:
        raise ConfigurationError([f"{path}: not a catalogue of gettext: {error}"]) from error
    ours = known_texts()
    entries = [one for one in catalogue if one.id]
    if not any(_key(one) in ours for one in entries):
        problem = wrong("has no text of this package", expected=f"those of {TEMPLATE}")
        raise ConfigurationError([f"{path}: {problem}"])
    if wrong_ones := [said for one in entries for said in _faults(path, one)]:
        raise ConfigurationError(wrong_ones)
    return catalogue


@cache
def known_texts() -> frozenset[str]:
    """All texts of the package."""
    with TEMPLATE.open("rb") as file:
        return frozenset(_key(one) for one in read_po(file) if one.id)


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _faults(path: Path, message: Message) -> Iterator[str]:
    """What would fail where a text is used: placeholders that have no value, or none that has."""
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    given = message.string or ""
    texts = [given] if isinstance(given, str) else list(given)
    allowed = {name for one in ids for name in _placeholders(one)}
    for text in filter(None, texts):
        try:
            used = set(_placeholders(text))
        except ValueError as error:
            yield f"{path}: {wrong(f'translation of {shown(ids[0])}: {error}', text)}"
            continue
        missing = allowed - used - {"count"}
        if used - allowed or missing:
            wanted = ", ".join(f"{{{one}}}" for one in sorted(allowed)) or "none"
            said = wrong(f"translation of {shown(ids[0])}", text, f"the placeholders {wanted}")
            yield f"{path}: {said}"


def _placeholders(text: str) -> Iterator[str]:
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"not a placeholder: {{{name}}}")
        yield name


def _compiled(catalogue: Catalog) -> Translations:
    catalogue.fuzzy = False
    file = BytesIO()
    write_mo(file, catalogue)
    file.seek(0)
    return Translations(file)
