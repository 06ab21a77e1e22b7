"""Speaker notes of a presentation, which the extraction library leaves out of its Markdown."""

import io
import re
import zipfile
from typing import Final
from xml.etree import ElementTree

from backend.documents.parsing.failures import UNREADABLE_ARCHIVE

_DRAWING: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_PRESENTATION: Final = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_NOTES_PART = re.compile(r"ppt/notesSlides/notesSlide(\d+)\.xml")
_MAX_PART_BYTES: Final = 4 * 1024 * 1024


def read_speaker_notes(data: bytes) -> tuple[str, ...]:
    """The notes of the PPTX `data`, one string per slide that has any, in the order of their parts.

    Notes that cannot be read are left out: the slides themselves have been read by then.
    """
    notes = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {
                int(found[1]): member
                for member in archive.infolist()
                if (found := _NOTES_PART.fullmatch(member.filename)) and member.file_size <= _MAX_PART_BYTES
            }
            notes = [_body_text(archive.read(parts[number])) for number in sorted(parts)]
    except (*UNREADABLE_ARCHIVE, ElementTree.ParseError):
        pass
    return tuple(note for note in notes if note)


def _body_text(part: bytes) -> str:
    # Expat, which this uses, has refused entity bombs and never fetched external entities for years.
    root = ElementTree.fromstring(part)  # noqa: S314
    paragraphs = []
    for shape in root.iter(f"{_PRESENTATION}sp"):
        # The other placeholders repeat the slide's picture, number and date.
        if any(holder.get("type") == "body" for holder in shape.iter(f"{_PRESENTATION}ph")):
            paragraphs += [
                "".join(run.text or "" for run in paragraph.iter(f"{_DRAWING}t")).strip()
                for paragraph in shape.iter(f"{_DRAWING}p")
            ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
