"""Bodies of answers, read and decoded within a bound, and not on the event loop where that takes
long.

What answers can be any program at that address, and the Hub's memory is everybody's. A few bytes
can decode to any number of them, so the bound holds while they are decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import httpx

from ...errors import BadAnswer
from ...quotas.messages import printable
from .worker import run_in_worker

LARGEST = 64 * 2**20
"""Bytes of an answer, as sent or decoded, beyond which it is none. Pieces of history are some
megabytes.
"""
AT_ONCE = 20_000
"""Bytes that are decoded on the event loop: more would keep others waiting."""

PIECE = 2**20
"""Bytes that are decoded at a time."""

ENCODING = "gzip"
"""The one encoding that is asked for, and read."""
_GZIP = {ENCODING, "x-gzip"}
_NO_ENCODING = {"", "identity"}


async def read_body(response: httpx.Response) -> bytes:
    """The body of an answer, decoded.

    Raises `BadAnswer` for one that is too large, or encoded otherwise than it was asked for.
    """
    where = f"HTTP {response.status_code}"
    encodings = [
        one.lower()
        for one in response.headers.get_list("content-encoding", split_commas=True)
        if one.lower() not in _NO_ENCODING
    ]
    if len(encodings) > 1 or not _GZIP.issuperset(encodings):
        said = printable(", ".join(encodings))
        raise BadAnswer(f"{where}: wrong Content-Encoding: got {said}; expected {ENCODING} or none")
    too_large = BadAnswer(f"{where}: the answer is larger than {LARGEST // 2**20} MiB")
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 16) if encodings else None
    content, sent = bytearray(), 0
    async for part in response.aiter_raw():
        sent += len(part)
        if decoder is None:
            content += part
        else:
            try:
                async for decoded in _decoded(part, decoder):
                    content += decoded
                    if len(content) > LARGEST:
                        raise too_large
            except zlib.error as error:
                raise BadAnswer(f"{where}: the answer is not {ENCODING}: {error}") from error
        if max(sent, len(content)) > LARGEST:
            raise too_large
    # A copy of much takes long, too.
    return await run_in_worker(bytes, content) if len(content) > AT_ONCE else bytes(content)


async def _decoded(part: bytes, decoder: zlib._Decompress) -> AsyncIterator[bytes]:
    """A part, decoded a piece at a time: all but a small first one in the worker."""
    piece = decoder.decompress(part, AT_ONCE)
    yield piece
    # A piece that is full may not be all, although nothing of the part is left to decode.
    full = len(piece) == AT_ONCE
    while full:
        piece = await run_in_worker(decoder.decompress, decoder.unconsumed_tail, PIECE)
        yield piece
        full = len(piece) == PIECE
