"""Tables as CSV, for spreadsheets: no text that somebody wrote becomes a formula."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

Cell = str | float | None
"""Of a table; None is empty."""


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The table: a line of headings, and a line for each row."""
    text = io.StringIO()
    # Quoted, or a spreadsheet that separates by semicolons makes two cells of one.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([_cell(one) for one in columns])
    for row in rows:
        writer.writerow([_cell(one) if isinstance(one, str) else one for one in row])
    return text.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula, as OWASP has it ("CSV Injection"): also where
    what begins one is full-width, or comes after spaces.
    """
    first = unicodedata.normalize("NFKC", text).lstrip()[:1]
    steers = text[:1] in {"\t", "\r", "\n"} or first in {"=", "+", "-", "@"}
    # A lone surrogate is no text that can be sent.
    sendable = text.encode(errors="replace").decode()
    return f"'{sendable}" if steers else sendable
