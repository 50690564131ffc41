"""The parser of Prometheus' answers; it refuses those that cannot be trusted.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Required, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from ...errors import BadAnswer, PartialAnswer, QueryRejected
from ...quotas.messages import printable

PIECE = 50_000
"""Bytes that are read at a time: while they are, nothing else runs in this process."""

ROUNDING = 0.002
"""Seconds by which instants may differ from those in the query, which are written to the
millisecond.
"""

_RESULT = b'{"metric":'
"""How a series begins. It cannot be part of a label: there its quotes have backslashes."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and values at instants (Unix seconds) in time order."""

    labels: Mapping[str, str]
    instants: array[float]
    values: array[float]

    @property
    def samples(self) -> tuple[tuple[float, float], ...]:
        """`(instant, value)` in time order."""
        return tuple(zip(self.instants, self.values, strict=True))

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1]


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

    @overload
    def __getitem__(self, index: int) -> Series: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Series]: ...
    def __getitem__(self, index: int | slice) -> Series | Sequence[Series]:
        if isinstance(index, slice):
            return list(self)[index]
        return Series(self._labels[index], self._instants[index], self._values[index])


@with_config(ConfigDict(strict=True))
class _Result(TypedDict, total=False):
    metric: Required[dict[str, str]]
    value: tuple[float, str]
    values: list[tuple[float, str]]


class _Data(BaseModel):
    resultType: str  # noqa: N815 the name that the API gives it
    result: list[_Result]


class _Answer(BaseModel):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = []


_Results = TypeAdapter(list[_Result])


def read_answer(content: bytes, *, where: str, success: bool, asked: Mapping[str, str]) -> Answer:
    """Read an answer.

    `where` says what answered, for errors; `success` whether its HTTP status did; `asked` are the
    parameters of the request. Raises `BadAnswer`, `QueryRejected` or `PartialAnswer`.
    """
    try:
        envelope, pieces = _cut(content)
        answer = _Answer.model_validate_json(envelope)
        # One piece after the other, so that only what is kept of them is there at any time.
        found = Answer(_series(one) for piece in pieces for one in _Results.validate_json(piece))
    except BadAnswer:
        raise
    except ValueError as error:  # pydantic's and json's are both
        detail = f"{where} is not an answer of the Prometheus API"
        raise BadAnswer(detail) from (error if isinstance(error, ValidationError) else None)
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
    if len({frozenset(one.labels.items()) for one in series}) < len(series):
        return "a series is there twice"
    if not all(one.instants for one in series):
        return "a series has no samples"
    if kind == "matrix" and "step" not in asked:
        return ""  # samples as they were scraped, at whatever instants
    start = float(asked.get("start", asked.get("time", 0))) - ROUNDING
    end = float(asked.get("end", asked.get("time", 0))) + ROUNDING
    inside = all(start <= one.instants[0] and one.instants[-1] <= end for one in series)
    return "" if inside else "it has samples of another time"


def _cut(content: bytes) -> tuple[bytes, Iterator[bytes]]:
    """A large answer as what is around its series, and lists of some of these at a time."""
    starts = [found.start() for found in re.finditer(re.escape(_RESULT), content)]
    if len(content) <= PIECE or not starts:
        return content, iter(())
    last = content[starts[-1] :].decode()
    _, length = json.JSONDecoder().raw_decode(last)
    end = starts[-1] + len(last[:length].encode())
    return content[: starts[0]] + content[end:], _pieces(content, [*starts, end])


def _pieces(content: bytes, edges: list[int]) -> Iterator[bytes]:
    begin = edges[0]
    for edge in edges[1:]:
        if edge - begin >= PIECE or edge == edges[-1]:
            yield b"[" + content[begin:edge].rstrip().rstrip(b",") + b"]"
            begin = edge


def _series(result: _Result) -> Series:
    raw: list[Any] = result["values"] if "values" in result else [result.get("value")]
    metric = result["metric"]
    try:
        # A month of a server is the same number again and again: convert it once.
        numbers = {text: float(text) for text in {text for _, text in raw}}
        instants = array("d", [instant for instant, _ in raw])
        values = array("d", [numbers[text] for _, text in raw])
    except (TypeError, ValueError) as error:
        raise BadAnswer(f"a sample of {metric} is not a number") from error
    if not all(map(math.isfinite, numbers.values())):
        raise BadAnswer(f"a sample of {metric} is NaN or infinite")
    return Series(metric, instants, values)
