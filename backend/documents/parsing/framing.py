"""What a worker and its reading process say to each other: frames of MessagePack over pipes.

A frame is its length (four bytes, the highest first) and so many bytes. What comes back was made by a process
that a document may have taken over: it is decoded into these shapes and nothing else, and checked once more
by whoever asked (`reader.py`).
"""

from typing import Annotated, Final

import msgspec

from backend.documents.parsing.pages import MAX_PAGES

HEADER_BYTES: Final = 4

_Name = Annotated[str, msgspec.Meta(max_length=500)]


class EmbeddingWanted(msgspec.Struct, frozen=True, array_like=True):
    """That passages are to be embedded as well, each under `title`; where that is empty, under the title the document
    has itself, or else `other_title`. Vectors have `dimensions` numbers."""

    title: str
    other_title: str
    dimensions: int


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A document to be read, and within which limits."""

    data: bytes
    file_name: str
    mime_type: str | None
    max_bytes: int
    max_characters: int
    timeout_seconds: int
    max_memory_bytes: int
    max_expanded_bytes: int
    max_expansion_ratio: int
    max_archive_entries: int
    chunk_characters: int
    chunk_overlap: int
    embedding: EmbeddingWanted | None = None


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A passage by its place in the text."""

    start: Annotated[int, msgspec.Meta(ge=0)]
    end: Annotated[int, msgspec.Meta(ge=1)]
    heading_path: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=8)]


class Read(msgspec.Struct, frozen=True, array_like=True, tag="read"):
    """A document that was read."""

    text: Annotated[str, msgspec.Meta(min_length=1)]
    mime_type: _Name
    title: _Name | None
    is_markdown: bool
    language: _Name | None
    metadata: Annotated[
        dict[_Name, Annotated[str, msgspec.Meta(max_length=4000)]], msgspec.Meta(max_length=50)
    ]
    spans: list[Span]
    page_bounds: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(max_length=MAX_PAGES + 1)
    ] = ()
    #: Of the passages in order, numbers of four bytes, the lowest first; empty where none were wanted or made.
    vectors: bytes = b""


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """Why one was not: the name of a kind in `failures.py`, and its words."""

    kind: _Name
    message: _Name


def framed(message: msgspec.Struct) -> bytes:
    """`message` as a frame."""
    body = msgspec.msgpack.encode(message)
    return header(len(body)) + body


def header(length: int) -> bytes:
    """What stands before `length` bytes."""
    return length.to_bytes(HEADER_BYTES)


def length_in(header: bytes | bytearray) -> int:
    """How many bytes follow."""
    return int.from_bytes(header)


def decode_asked(body: bytes) -> Asked:
    """What is asked. Raises `msgspec.ValidationError` or `DecodeError`."""
    return msgspec.msgpack.decode(body, type=Asked)


def decode_answer(body: bytes | bytearray) -> Read | Failed:
    """What is answered. Raises `msgspec.ValidationError` or `DecodeError` for anything else."""
    return msgspec.msgpack.decode(body, type=Read | Failed)
