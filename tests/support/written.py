"""A real Prometheus that any samples can be written to at any time, in any order: what set-ups with
remote write do, and the only way to have staleness markers in a made-up history.

Format: https://prometheus.io/docs/concepts/remote_write_spec/
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import httpx

from tests.support.programs import Program, find_program, free_port

Labels = frozenset[tuple[str, str]]
"""The labels of a series, its name as `__name__` among them."""

Sample = tuple[float, float | None]
"""Unix seconds and a value; None is the marker of a series that ended."""

Samples = Mapping[Labels, Sequence[Sample]]

STALE = struct.pack("<Q", 0x7FF0000000000002)
"""The one NaN that is not a value."""

PIECE = 3600
"""Seconds of samples in one request: written in the order of time, they cost the least."""


@contextmanager
def prometheus_to_write_to(directory: Path) -> Iterator[str]:
    """The URL of an empty Prometheus, with the look-back that they have: 5 minutes."""
    configuration = directory / "prometheus.yml"
    # JSON is YAML.
    storage = {"tsdb": {"out_of_order_time_window": "30d"}}
    configuration.write_text(json.dumps({"storage": storage}), encoding="utf-8")
    port = free_port()
    command = [
        find_program("prometheus", "on Debian, `apt-get install prometheus`"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=5y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ]
    url = f"http://127.0.0.1:{port}"
    with Program(command, directory / "prometheus.log") as program:
        program.wait_for_url(f"{url}/-/ready")
        yield url


def write(url: str, samples: Samples) -> None:
    """Have these samples in a Prometheus; they are to be seen as soon as this returns."""
    pieces: dict[int, dict[Labels, list[Sample]]] = {}
    for labels, of_series in samples.items():
        for sample in of_series:
            piece = pieces.setdefault(int(sample[0] // PIECE), {})
            piece.setdefault(labels, []).append(sample)
    with httpx.Client(verify=False, trust_env=False, timeout=60) as http:
        for _, piece in sorted(pieces.items()):
            body = _snappy(b"".join(_field(1, _series(*one)) for one in piece.items()))
            headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
            reply = http.post(f"{url}/api/v1/write", content=body, headers=headers)
            assert reply.status_code == 204, reply.text


def _series(labels: Labels, samples: Sequence[Sample]) -> bytes:
    """A protobuf message `TimeSeries`."""
    named = (
        _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in sorted(labels)
        if value
    )
    valued = (_sample(at, value) for at, value in samples)
    return b"".join((*named, *valued))


@lru_cache(100_000)
def _sample(at: float, value: float | None) -> bytes:
    """A field `samples`: of one time there are many with the same value."""
    number = STALE if value is None else struct.pack("<d", value)
    return _field(2, b"\x09" + number + b"\x10" + _varint(round(at * 1000)))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _snappy(data: bytes) -> bytes:
    """Snappy's block format, without compressing anything."""
    out = [_varint(len(data))]
    for begin in range(0, len(data), 65536):
        literal = data[begin : begin + 65536]
        out += [b"\xf4", struct.pack("<H", len(literal) - 1), literal]
    return b"".join(out)
