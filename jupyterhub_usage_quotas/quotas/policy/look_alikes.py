"""Texts that look like other ones: characters that cannot be seen, and letters of other scripts.

The letters are those of Unicode's table of confusables (https://www.unicode.org/reports/tr39/) that
look like a letter of ASCII in every usual font.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CYRILLIC: Final = dict(
    zip("асеԁһіјӏоԛрѕԝхуАВСЕНІЈКМОРЅТХУ", "acedhijloqpswxyABCEHIJKMOPSTXY", strict=True)
)
_GREEK: Final = dict(zip("αιορυνκϲΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aiopuvkcABEZHIKMNOPTYX", strict=True))
_ARMENIAN: Final = dict(zip("օսհոցզ", "ouhngq", strict=True))
_CHEROKEE: Final = dict(zip("ᎠᎡᎢᎪᎫᎬᎳᎷᎻᏀᏃᏚᏙᏞᏟᏢᏦᏴ", "DRTAJEWMHGZSVLCPKB", strict=True))
_LATIN: Final = {"ɑ": "a", "ɡ": "g", "ꜱ": "s", "ᴏ": "o"}
_SCRIPTS: Final = (_CYRILLIC, _GREEK, _ARMENIAN, _CHEROKEE, _LATIN)
LOOKS_LIKE: Final = {one: usual for script in _SCRIPTS for one, usual in script.items()}
_WORD: Final = re.compile(r"[^\W\d_]+")


def looks_like_another(text: str) -> bool:
    """Whether a text has characters that cannot be seen, or that look like usual ones."""
    return as_usual(text) != unicodedata.normalize("NFC", text)


def as_usual(text: str) -> str:
    """A text in the usual characters that it looks like.

    A letter of another script stays where it is meant: among other letters of that script.
    """
    seen = "".join(one for one in text if unicodedata.category(one) != "Cf")
    plain = "".join(_plain_dash(one) for one in unicodedata.normalize("NFKC", seen))
    own = _is_meant(plain)
    return _WORD.sub(lambda word: _usual_word(word[0], whole_text=not own), plain)


def _plain_dash(character: str) -> str:
    is_one = unicodedata.category(character) == "Pd" or character == "\N{MINUS SIGN}"
    return "-" if is_one else character


def _is_meant(text: str) -> bool:
    """Whether a text has letters of other scripts that look like none of ASCII."""
    return any(one.isalpha() and not one.isascii() and one not in LOOKS_LIKE for one in text)


def _usual_word(word: str, *, whole_text: bool) -> str:
    """A word in the letters of ASCII, if it mixes them with those that look like them, or if there
    is nothing else in the whole text.
    """
    mixed = any(one.isascii() for one in word) and any(one in LOOKS_LIKE for one in word)
    return "".join(LOOKS_LIKE.get(one, one) for one in word) if mixed or whole_text else word
