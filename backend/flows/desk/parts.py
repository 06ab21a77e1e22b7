"""Forms with more files than memory has room for, read part by part as they come."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from backend.errors import Invalid

_PIECE: Final = 64 * 1024
#: The head of a part, and what waits for the rest of a boundary.
_BUFFER: Final = 4 * _PIECE


class FormBroken(Invalid):
    """This is not a form as browsers send it, or its end is missing."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a form; of a file `file_name` is what the browser calls it, with the folders it chose. `body` is None if
    it has more bytes than a part may have, `size` how many it has."""

    name: str
    file_name: str | None
    mime_type: str
    body: bytes | None
    size: int


def read_parts(read: Callable[[int], bytes], boundary: str, *, most_bytes: int) -> Iterator[Part]:
    """The parts of a `multipart/form-data` body (RFC 7578) that `read` gives in pieces of so many bytes or fewer, an empty
    one at the end. One part of at most `most_bytes` is in memory at a time.

    Raises FormBroken.
    """
    decoder = MultipartDecoder(boundary.encode(), _BUFFER)
    head: Field | File | None = None
    body, size = bytearray(), 0
    try:
        while True:
            event = decoder.next_event()
            if isinstance(event, NeedData):
                piece = read(_PIECE)
                if piece.endswith(b"-"):
                    # The decoder takes a line break before the last boundary for the file's if the two dashes behind it
                    # come one by one.
                    piece += read(1)
                decoder.receive_data(piece or None)
            elif isinstance(event, Field | File):
                head, size = event, 0
                body = bytearray()
            elif isinstance(event, Data) and head is not None:
                size += len(event.data)
                if size <= most_bytes:
                    body += event.data
                else:
                    body.clear()
                if not event.more_data:
                    yield _part(head, body if size <= most_bytes else None, size)
            elif isinstance(event, Epilogue):
                return
    except (ValueError, RequestEntityTooLarge) as error:
        raise FormBroken from error


def _part(head: Field | File, body: bytearray | None, size: int) -> Part:
    return Part(
        head.name or "",
        head.filename if isinstance(head, File) else None,
        head.headers.get("content-type", "", type=str),
        None if body is None else bytes(body),
        size,
    )
