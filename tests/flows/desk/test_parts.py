"""A form is read part by part, wherever its pieces end, and whatever somebody sends in its place."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.flows.desk.folder import Chosen, FilesLeftOut, megabytes
from backend.flows.desk.parts import FormBroken, Part, read_parts
from backend.flows.upload_documents.flow import NothingUploaded

BOUNDARY = "----boundary"
FILES = [
    ("confirmation", None, b"ab12"),
    ("files", "notes/ferry.md", b"It leaves\r\nat noon.\r\n"),
    ("files", "notes/\u00e9t\u00e9.md", b""),
    ("files", "like.bin", b"\r\n------boundar\r\n--\r\n\r\r\n----"),
    ("files", "", b""),
]


def form(parts: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    made = b""
    for name, file_name, body in parts:
        head = f'Content-Disposition: form-data; name="{name}"'
        if file_name is not None:
            head += f'; filename="{file_name}"\r\nContent-Type: text/x-note'
        made += f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + body + b"\r\n"
    return made + f"--{BOUNDARY}--\r\n".encode()


def reading(body: bytes, sizes: Sequence[int] = (10**9,)) -> Callable[[int], bytes]:
    """Gives `body` in pieces of `sizes`, the last of which repeats."""
    at, number = 0, 0

    def read(most: int) -> bytes:
        nonlocal at, number
        size = min(most, sizes[min(number, len(sizes) - 1)])
        number += 1
        piece = body[at : at + size]
        at += len(piece)
        return piece

    return read


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_parts_are_the_same_wherever_the_pieces_end(sizes: list[int]) -> None:
    found = list(read_parts(reading(form(FILES), sizes), BOUNDARY, most_bytes=1000))
    assert [(part.name, part.file_name, part.body) for part in found] == FILES
    assert [part.size for part in found] == [len(body) for _, _, body in FILES]
    assert found[1].mime_type == "text/x-note"


def test_file_that_is_too_large_is_counted_and_not_kept() -> None:
    sent = form([("files", "large.bin", b"x" * 3_000_000), ("files", "small.txt", b"words")])
    large, small = read_parts(reading(sent), BOUNDARY, most_bytes=2_999_999)
    assert (large.body, large.size) == (None, 3_000_000)
    assert small.body == b"words"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"no form at all",
        b"x" * 1_000_000,
        form(FILES)[:-20],
        f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\n".encode() + b"X-Long: " + b"x" * 1_000_000,
        f"--{BOUNDARY}\r\nContent-Disposition: \xff\r\n\r\nx".encode("latin-1"),
    ],
)
def test_what_is_no_form_is_refused(sent: bytes) -> None:
    with pytest.raises(FormBroken):
        list(read_parts(reading(sent), BOUNDARY, most_bytes=1000))


def file(name: str, size: int = 1, field: str = "files") -> Part:
    return Part(field, name, "", bytes(size), size)


def test_files_are_handed_in_a_few_at_a_time() -> None:
    chosen = Chosen(10**7)
    small = [file(f"{n}.md") for n in range(120)]
    large = [file(f"{n}.bin", 5 * 1024 * 1024) for n in range(3)]
    assert [len(together) for together in chosen.batches([*small, *large])] == [50, 50, 21, 1, 1]
    chosen.check()


def test_what_a_folder_hides_and_other_fields_are_no_files() -> None:
    chosen = Chosen(10)
    hidden = [file("a/.git/x"), file(".DS_Store"), file("a\\.b\\c"), file("a.md", field="other"), file("")]
    assert list(chosen.batches(hidden)) == []
    with pytest.raises(NothingUploaded):
        chosen.check()


def test_some_of_those_left_out_are_named() -> None:
    chosen = Chosen(32 * 1024 * 1024)
    parts = [Part("files", f"film{n}.mp4", "", None, 10**9) for n in range(7)]
    assert [len(together) for together in chosen.batches([*parts, file("a.md")])] == [1]
    with pytest.raises(FilesLeftOut) as refused:
        chosen.check()
    named = "film0.mp4, film1.mp4, film2.mp4, film3.mp4, film4.mp4 and 2 more."
    assert refused.value.message == f"Larger than 32 MB, and left out: {named}"


@pytest.mark.parametrize(
    ("size", "words"),
    [(10_000, "10 KB"), (32 * 1024**2, "32 MB"), (1024**3, "1.0 GB"), (2_600_000_000, "2.4 GB")],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert megabytes(size) == words
