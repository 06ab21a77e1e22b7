"""What of a folder that somebody has chosen is handed in, a few files at a time."""

from collections.abc import Iterable, Iterator
from typing import Final

from backend.documents.uploads.repository import MOST_FILES, NewUpload
from backend.errors import TooLarge
from backend.flows.desk.parts import Part
from backend.flows.upload_documents.flow import NothingUploaded, new_upload

_BYTES_TOGETHER: Final = 8 * 1024 * 1024
#: Names of files left out that are said.
_NAMED: Final = 5


class FilesLeftOut(TooLarge):
    """Some files are too large."""


class Chosen:
    """The files of one form. Those of more than `most_bytes` are left out, and those that a folder hides."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._count = 0
        self._left_out: list[str] = []

    def batches(self, parts: Iterable[Part]) -> Iterator[list[NewUpload]]:
        """The files among `parts`, as many at a time as one transaction keeps. Raises what reading them raises."""
        together: list[NewUpload] = []
        size = 0
        for part in parts:
            # A field without a chosen file sends a part without a name.
            name = (part.file_name or "").replace("\\", "/")
            if part.name != "files" or not name or any(piece.startswith(".") for piece in name.split("/")):
                continue
            self._count += 1
            if part.body is None:
                self._left_out.append(name)
                continue
            if together and (len(together) == MOST_FILES or size + part.size > _BYTES_TOGETHER):
                yield together
                together, size = [], 0
            together.append(new_upload(part.body, file_name=name, mime_type=part.mime_type))
            size += part.size
        if together:
            yield together

    def check(self) -> None:
        """Raises NothingUploaded if there was no file, FilesLeftOut if there were too large ones."""
        if not self._count:
            raise NothingUploaded("Choose one or more files, or a folder that is not empty.")
        if not self._left_out:
            return
        named = ", ".join(self._left_out[:_NAMED])
        more = len(self._left_out) - _NAMED
        raise FilesLeftOut(
            f"Larger than {megabytes(self._most_bytes)}, and left out: {named}{f' and {more} more' if more > 0 else ''}."
        )


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    if size < 1024**2:
        return f"{size / 1024:,.0f} KB"
    return f"{size / 1024**2:,.0f} MB" if size < 1024**3 else f"{size / 1024**3:,.1f} GB"
