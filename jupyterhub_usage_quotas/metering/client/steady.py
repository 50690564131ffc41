"""The parser of series over time as Prometheus writes them; what is written in any other way is
left to the general parser.

Series of users' servers are mostly the same value again and again, at every step of a range. The
text of such a stretch is known beforehand, so it is compared as a whole in place of being parsed
sample by sample, which takes a hundredth of the time.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping

import msgspec

from .series import Series

_METRIC, _VALUES = b'{"metric":', b',"values":['
_SAMPLE = re.compile(rb'\[(\d{10}),"([^"\\]*)"\]')
_END = re.compile(rb"\]\}\s*,?\s*")
MOST_STRETCHES = 40
"""Of a series; one that changes more often is parsed in the general way."""


class SteadyParser:
    """Parses series of an answer about `start` to `end` at every `step` (whole Unix seconds)."""

    def __init__(self, start: int, end: int, step: int) -> None:
        self._start, self._step = start, step
        self._number = (end - start) // step + 1
        self._texts: dict[bytes, bytes] = {}

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> SteadyParser | None:
        """The one for an answer to these parameters, which may not be about such a range."""
        try:
            bounds = [float(asked[name]) for name in ("start", "end", "step")]
        except (KeyError, ValueError):
            return None
        whole = [int(one) for one in bounds]
        # Of other instants the text has another length.
        if whole != bounds or whole[2] <= 0 or not 10**9 <= whole[0] <= whole[1] < 10**10:
            return None
        return cls(*whole)

    def __call__(self, content: bytes, begin: int, end: int) -> Series | None:
        """The series whose text is there; None for one that is to be parsed in the general way."""
        at = content.find(_VALUES, begin, end)
        until = content.rfind(b"]}", begin, end)
        if at < 0 or until < at or not _END.fullmatch(content, until, end):
            return None
        stretches = self._stretches(content, at + len(_VALUES), until)
        if stretches is None:
            return None
        labels = _labels(content, begin, at)
        if labels is None:
            return None
        instants, values = array("d"), array("d")
        for first, number, value in stretches:
            last = first + number * self._step
            instants.extend(array("d", range(first, last, self._step)))
            values.extend(array("d", (value,)) * number)
        return Series(labels, instants, values)

    def _stretches(
        self, content: bytes, at: int, until: int
    ) -> list[tuple[int, int, float]] | None:
        """When each stretch begins, how many samples it has, and its value."""
        found: list[tuple[int, int, float]] = []
        least = self._start
        while at < until:
            sample = _SAMPLE.match(content, at, until)
            if sample is None or len(found) == MOST_STRETCHES:
                return None
            first, value = int(sample[1]), _number(sample[2])
            place, off = divmod(first - self._start, self._step)
            if off or first < least or place >= self._number or value is None:
                return None
            number = self._same(content, at, until, place, sample[2])
            found.append((first, number, value))
            least = first + number * self._step
            at += number * (len(sample[0]) + 1)
            # Between two samples is a comma, and none after the last.
            if at <= until and content[at - 1 : at] != b",":
                return None
        return found if at == until + 1 else None

    def _same(self, content: bytes, at: int, until: int, place: int, value: bytes) -> int:
        """How many samples there are from here on with this value, at one step after the other."""
        text = self._texts.get(value)
        if text is None:
            instants = range(self._start, self._start + self._number * self._step, self._step)
            text = b"".join(b'[%d,"%b"],' % (instant, value) for instant in instants)
            self._texts[value] = text
        width = len(text) // self._number
        # The last has no comma after it.
        most = min((until + 1 - at) // width, self._number - place)
        few, many = 1, most
        number = most
        while few < many:
            length = number * width - 1
            if content[at : at + length] == text[place * width : place * width + length]:
                few = number
            else:
                many = number - 1
            number = (few + many + 1) // 2
        return few


_decode_labels = msgspec.json.Decoder(dict[str, str]).decode


def _labels(content: bytes, begin: int, end: int) -> dict[str, str] | None:
    try:
        return _decode_labels(content[begin + len(_METRIC) : end])
    except msgspec.DecodeError:
        return None


def _number(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
