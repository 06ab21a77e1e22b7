"""Workbooks, cut to what is kept of them before they are read: a million rows would take gigabytes."""

import io
import re
import zipfile
from typing import Final

from backend.documents.parsing.failures import UNREADABLE_ARCHIVE

_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
#: A character of a sheet's text comes from about so many bytes of its XML, seldom from more.
_XML_BYTES_PER_CHARACTER: Final = 6
_ROW_END: Final = b"</row>"
_EMPTY_SHEET: Final = (
    b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    b"<sheetData></sheetData></worksheet>"
)


def cut_sheets(data: bytes, *, max_characters: int) -> tuple[bytes, bool]:
    """(the XLSX `data` with the first rows of its sheets, about as many as give `max_characters`; whether any
    rows are missing). `data` itself when it is small enough, or no readable archive: its reader says why.
    """
    room = max_characters * _XML_BYTES_PER_CHARACTER
    target = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source:
            members = source.infolist()
            if sum(m.file_size for m in members if _SHEET.fullmatch(m.filename)) <= room:
                return data, False
            with zipfile.ZipFile(target, "w") as copy:
                for member in members:
                    if not _SHEET.fullmatch(member.filename):
                        if member.filename.endswith((".xml", ".rels")):
                            copy.writestr(member.filename, source.read(member))
                        continue
                    with source.open(member) as opened:
                        sheet = opened.read(room + 1)
                    if len(sheet) > room:
                        sheet = _cut(sheet[:room])
                    room -= min(len(sheet), room)
                    copy.writestr(member.filename, sheet)
    except UNREADABLE_ARCHIVE:
        return data, False
    return target.getvalue(), True


def _cut(sheet: bytes) -> bytes:
    end = sheet.rfind(_ROW_END)
    if end < 0:
        return _EMPTY_SHEET
    return sheet[: end + len(_ROW_END)] + b"</sheetData></worksheet>"
