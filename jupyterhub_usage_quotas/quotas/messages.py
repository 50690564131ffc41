"""The wording of errors: `what is wrong: got X; expected Y`.

Any value that an admin or a visitor wrote can be shown: a number of thousands of digits, a list
nested thousands deep, text that no terminal or metric can hold.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Iterable
from typing import Any, Final

LONGEST_SHOWN: Final = 200
"""Characters of a value that a message repeats."""
LONGEST_REASON: Final = 1000
"""Characters of what an exception says."""
FEW: Final = 12
"""As many choices are listed; of more, only the close ones."""
CLOSE_ENOUGH: Final = 0.6
"""How alike two words must be for one to be a misspelling of the other; see `difflib`."""

_MISSING: Final = object()


class Verbatim(str):
    """A text that a message repeats as it is, for example the outline of a secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _Repr(reprlib.Repr):
    """Shows mappings in the order in which they were written."""

    def repr_dict(self, given: dict[Any, Any], level: int) -> str:
        """Of a mapping, as many entries as of a list."""
        if level <= 0:
            return "{...}"
        some = list(given.items())[: self.maxdict]
        parts = [f"{self.repr1(k, level - 1)}: {self.repr1(v, level - 1)}" for k, v in some]
        return f"{{{', '.join(parts + ['...'] * (len(given) > self.maxdict))}}}"


_REPR: Final = _Repr()
_REPR.maxlevel = 4
_REPR.maxlist = _REPR.maxtuple = _REPR.maxset = _REPR.maxfrozenset = _REPR.maxdict = 8
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 100


def wrong(what: str = "", got: object = _MISSING, expected: str = "") -> str:
    """The message about one mistake; parts that are not given are left out."""
    found = "" if got is _MISSING else f"got {shown(got)}"
    wanted = f"expected {expected}" if expected else ""
    return ": ".join(filter(None, (what, "; ".join(filter(None, (found, wanted))))))


def shown(value: object) -> str:
    """A value as a message repeats it: one printable line, cut where it is long."""
    try:
        text = _REPR.repr(value)
    except Exception:
        # Python refuses to write integers of more than some thousands of digits.
        text = f"a value of type {type(value).__name__}"
    return printable(text)


def printable(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Text on one line without what steers a terminal; cut to `longest` characters."""
    line = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[: longest + 1])
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def said_by(error: BaseException) -> str:
    """What an exception says, after its kind, as `printable` has it: an admin's code may repeat in
    it what a user wrote.
    """
    try:
        text = str(error)
    except Exception:
        text = "it cannot say why"
    kind = type(error).__name__
    return printable(f"{kind}: {text}" if text else kind, LONGEST_REASON)


def one_of(choices: Iterable[object]) -> str:
    """The choices, for what `wrong` expects."""
    return f"one of: {', '.join(map(str, choices))}"


def not_among(what: str, given: str, choices: Collection[str], more: str = "") -> str:
    """The message about a word that is none of `choices`; `more` says where many are listed.

    Of many choices only one that is spelt alike is named.
    """
    close = difflib.get_close_matches(given, choices, n=1, cutoff=CLOSE_ENOUGH)
    few = len(choices) <= FEW
    if close:
        meant = f"{what}; did you mean {close[0]}?"
        return f"{meant} Expected {one_of(choices)}" if few else meant
    return "; ".join(filter(None, (what, f"expected {one_of(choices)}" if few else more)))
