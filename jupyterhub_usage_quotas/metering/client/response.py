"""The parser of Prometheus' answers; it refuses those that cannot be trusted.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/#expression-query-result-formats
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Required, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from ...errors import BadAnswer, PartialAnswer, QueryRejected
from ...quotas.messages import printable
from .series import Series
from .steady import SteadyParser, single

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
        envelope, edges = _parts(content)
        answer = _Answer.model_validate_json(envelope)
        found = Answer(_each(content, edges, _parser(asked)))
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


Parser = Callable[[bytes, int, int], Series | None]
"""Parses the series between two places; None where it cannot."""


def _parser(asked: Mapping[str, str]) -> Parser | None:
    return SteadyParser.of(asked) if "step" in asked else single


def _each(content: bytes, edges: list[int], parse: Parser | None) -> Iterator[Series]:
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
    return map(_series, _Results.validate_json(b"[" + b",".join(texts) + b"]"))


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
