"""The parser of Prometheus' answers; it refuses those that cannot be trusted.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import overload

import msgspec

from ...errors import BadAnswer, PartialAnswer, QueryRejected
from ...quotas.messages import printable
from .series import Series
from .steady import SteadyParser

PIECE = 50_000
"""Bytes that are read at a time: while they are, nothing else runs in this process."""

ROUNDING = 0.002
"""Seconds by which instants may differ from those in the query, which are written to the
millisecond.
"""

_RESULT = b'{"metric":'
"""How a series begins. It cannot be part of a label: there its quotes have backslashes."""


class Answer(Sequence[Series]):
    """The series of an answer, in columns.

    An answer may have ten thousands of series. Kept as so many objects, Python's garbage collector
    would look through all of them (and of the process) again and again, and stop everything.
    """

    __slots__ = ("_instants", "_labels", "_values")

    def __init__(self, series: Iterable[Series] = ()) -> None:
        self._labels: list[Mapping[str, str]] = []
        self._instants: list[array[float]] = []
        self._values: list[array[float]] = []
        for one in series:
            self._labels.append(one.labels)
            self._instants.append(one.instants)
            self._values.append(one.values)

    def __iter__(self) -> Iterator[Series]:
        return map(Series, self._labels, self._instants, self._values)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def instants(self) -> Sequence[array[float]]:
        """The instants of each series."""
        return self._instants

    @property
    def labels(self) -> Sequence[Mapping[str, str]]:
        """The labels of each series."""
        return self._labels

    @overload
    def __getitem__(self, index: int) -> Series: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Series]: ...
    def __getitem__(self, index: int | slice) -> Series | Sequence[Series]:
        if isinstance(index, slice):
            return list(self)[index]
        return Series(self._labels[index], self._instants[index], self._values[index])


class _Result(msgspec.Struct, gc=False):
    metric: dict[str, str]
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] | None = None


class _Data(msgspec.Struct):
    resultType: str  # noqa: N815 the name that the API gives it
    result: list[_Result]


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = []


_answers = msgspec.json.Decoder(_Answer)
_results = msgspec.json.Decoder(list[_Result])


def read_answer(content: bytes, *, where: str, success: bool, asked: Mapping[str, str]) -> Answer:
    """Read an answer.

    `where` says what answered, for errors; `success` whether its HTTP status did; `asked` are the
    parameters of the request. Raises `BadAnswer`, `QueryRejected` or `PartialAnswer`.
    """
    try:
        envelope, edges = _parts(content)
        answer = _answers.decode(envelope)
        found = Answer(_each(content, edges, SteadyParser.of(asked)))
    except BadAnswer:
        raise
    except (ValueError, msgspec.DecodeError) as error:
        detail = f"{where} is not an answer of the Prometheus API"
        raise BadAnswer(detail) from error
    if answer.status != "success" or answer.data is None or not success:
        raise QueryRejected(f"{where}: {printable(answer.error or answer.status)}")
    if answer.warnings:
        raise PartialAnswer(printable("; ".join(answer.warnings)))
    found = found or Answer(_series(result) for result in answer.data.result)
    if wrong := _not_asked_for(answer.data.resultType, found, asked):
        raise BadAnswer(f"{where}: {wrong}")
    return found


def _not_asked_for(kind: str, series: Answer, asked: Mapping[str, str]) -> str:
    """What shows that an answer is not the one to the request; empty if nothing does.

    Caches that are never emptied and connections that are mixed up answer something else.
    """
    if kind != "matrix" and ("step" in asked or kind != "vector"):
        return f"the query did not ask for a {kind}"
    if _is_one_twice(series.labels):
        return "a series is there twice"
    if not all(series.instants):
        return "a series has no samples"
    if kind == "matrix" and "step" not in asked:
        return ""  # samples as they were scraped, at whatever instants
    start = float(asked.get("start", asked.get("time", 0))) - ROUNDING
    end = float(asked.get("end", asked.get("time", 0))) + ROUNDING
    inside = all(start <= one[0] and one[-1] <= end for one in series.instants)
    return "" if inside else "it has samples of another time"


def _is_one_twice(each: Sequence[Mapping[str, str]]) -> bool:
    orders = {tuple(labels) for labels in each}
    if len(orders) == len(set(map(frozenset, orders))):
        # Labels of the same names are in the same order everywhere, as servers write them.
        return len({(*labels, *labels.values()) for labels in each}) < len(each)
    return len({frozenset(labels.items()) for labels in each}) < len(each)


def _parts(content: bytes) -> tuple[bytes, list[int]]:
    """A large answer as what is around its series, and where each of these begins, and the last
    ends.
    """
    starts = [found.start() for found in re.finditer(re.escape(_RESULT), content)]
    if len(content) <= PIECE or not starts:
        return content, []
    last = content[starts[-1] :].decode()
    _, length = json.JSONDecoder().raw_decode(last)
    end = starts[-1] + len(last[:length].encode())
    return content[: starts[0]] + content[end:], [*starts, end]


def _each(content: bytes, edges: list[int], parse: SteadyParser | None) -> Iterator[Series]:
    """The series of an answer, parsed one after the other, so that only what is kept of them is
    there at any time.
    """
    left: list[bytes] = []
    size = 0
    for begin, end in pairwise(edges):
        found = parse(content, begin, end) if parse else None
        if found:
            yield found
            continue
        left.append(content[begin:end].rstrip().rstrip(b","))
        size += end - begin
        if size >= PIECE:
            yield from _parsed(left)
            left, size = [], 0
    if left:
        yield from _parsed(left)


def _parsed(texts: list[bytes]) -> Iterator[Series]:
    return map(_series, _results.decode(b"[" + b",".join(texts) + b"]"))


def _series(result: _Result) -> Series:
    metric, raw = result.metric, result.values
    if raw is None:
        if result.value is None:
            raise BadAnswer(f"a sample of {metric} is not a number")
        raw = [result.value]
    try:
        # A month of a server is the same number again and again: convert it once.
        numbers = {text: float(text) for text in {text for _, text in raw}}
        instants = array("d", [instant for instant, _ in raw])
        values = array("d", [numbers[text] for _, text in raw])
    except ValueError as error:
        raise BadAnswer(f"a sample of {metric} is not a number") from error
    if not all(map(math.isfinite, numbers.values())):
        raise BadAnswer(f"a sample of {metric} is NaN or infinite")
    return Series(metric, instants, values)
