"""Unpacking what a server packed, never more of it than asked for."""

import zlib
from typing import Any

_GZIP_MAGIC = b"\x1f\x8b"


class EncodingUnknown(Exception):
    """Packed in a way that was not asked for."""


class BodyBroken(Exception):
    """What arrived cannot be unpacked, or not to its end."""


class Decompressor:
    """Unpacks a body by its `Content-Encoding`: none, gzip or deflate, once."""

    def __init__(self, encoding: str) -> None:
        """Raises `EncodingUnknown`."""
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise EncodingUnknown(encoding)
        self._is_plain = encoding in ("", "identity")
        self._zlib: Any = None

    def take(self, chunk: bytes, at_most: int) -> bytes:
        """What `chunk` unpacks to, the first `at_most` (one or more) bytes of it. Raises `BodyBroken`.

        Whoever gets `at_most` bytes has had enough: the rest is dropped.
        """
        if self._is_plain:
            return chunk[:at_most]
        unpacked = bytearray()
        while chunk and len(unpacked) < at_most:
            if self._zlib is None:
                self._zlib = _begin(chunk)
            try:
                unpacked += self._zlib.decompress(chunk, at_most - len(unpacked))
            except zlib.error as error:
                raise BodyBroken from error
            if not self._zlib.eof:
                break
            # A gzip body may be several, one after the other (RFC 1952); anything else after the end is padding.
            chunk = self._zlib.unused_data
            if not chunk.startswith(_GZIP_MAGIC):
                break
            self._zlib = None
        return bytes(unpacked)

    def finish(self) -> None:
        """Raises `BodyBroken` if the body ended before what was packed did."""
        if self._zlib is not None and not self._zlib.eof:
            raise BodyBroken


def gunzip(data: bytes, *, max_bytes: int) -> bytes:
    """What a gzip file holds. Raises `BodyBroken`, also above `max_bytes`."""
    decompressor = Decompressor("gzip")
    unpacked = decompressor.take(data, max_bytes + 1)
    if len(unpacked) > max_bytes:
        raise BodyBroken("larger than what is read")
    decompressor.finish()
    return unpacked


def _begin(chunk: bytes) -> Any:
    # "deflate" is zlib's format (RFC 9110); some servers send the bare one all the same.
    is_bare = not chunk.startswith(_GZIP_MAGIC) and (chunk[0] & 0x0F) != 8
    return zlib.decompressobj(-zlib.MAX_WBITS if is_bare else zlib.MAX_WBITS | 32)
