"""What an archive says that it holds, before anything is taken out of it.

A directory may lie about its members; then the limit of memory ends the reading. This check is for those that
do not, and it has better words.
"""

import io
import re
import zipfile
from typing import Final

from backend.documents.parsing.failures import UNREADABLE_ARCHIVE, ExpandsTooMuch
from backend.documents.parsing.limits import MIB, Limits

#: Below this, any ratio is harmless, and short texts reach high ones.
_HARMLESS_BYTES: Final = 16 * MIB
_PROLOGUE_BYTES: Final = 4096
_XML: Final = (".xml", ".rels", ".xhtml", ".html", ".opf", ".ncx")
_DECLARES_ENTITIES = re.compile(rb"<!DOCTYPE[^>]*\[.*?<!ENTITY", re.DOTALL | re.IGNORECASE)


def check_archive(data: bytes, limits: Limits) -> None:
    """Raises ExpandsTooMuch when the ZIP archive `data` is over the limits, or its XML declares entities.

    An archive that cannot be read passes: whoever reads it says why it cannot.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive, len(data), limits)
    except UNREADABLE_ARCHIVE:
        return


def _check(archive: zipfile.ZipFile, byte_size: int, limits: Limits) -> None:
    members = archive.infolist()
    if len(members) > limits.max_archive_entries:
        raise ExpandsTooMuch(
            f"The document consists of {len(members):,} parts; at most {limits.max_archive_entries:,} are read."
        )
    expanded = sum(member.file_size for member in members)
    if expanded > limits.max_expanded_bytes:
        raise ExpandsTooMuch(
            f"The document expands to {expanded / MIB:,.0f} MB; "
            f"at most {limits.max_expanded_bytes / MIB:,.0f} MB are read."
        )
    if expanded > max(_HARMLESS_BYTES, limits.max_expansion_ratio * byte_size):
        raise ExpandsTooMuch(
            f"The document expands to {expanded // max(1, byte_size):,} times its size, as no document for people does."
        )
    for member in members:
        if member.filename.lower().endswith(_XML) and not member.flag_bits & 1:
            with archive.open(member) as opened:
                if _DECLARES_ENTITIES.search(opened.read(_PROLOGUE_BYTES)):
                    raise ExpandsTooMuch(
                        "The document declares entities of its own, which may expand without end."
                    )
