"""Word documents, prepared so that extraction keeps all of their text.

The extraction library drops every XML character reference from a DOCX ("R&D" arrives as "RD", "a < b" as
"a b") and joins the words around a tab. So references and tabs are replaced by placeholders before, and put
back after. The placeholders are Unicode noncharacters: legal in XML, and in no document.
"""

import html
import io
import re
import zipfile
from types import MappingProxyType
from typing import Final

from backend.documents.parsing.failures import UNREADABLE_ARCHIVE

#: The library's own limit for one member; beyond it, refusing is left to the library.
_MAX_MEMBER_BYTES: Final = 100 * 1024 * 1024

_HIDDEN: Final = MappingProxyType(str.maketrans({"&": "\ufdd0", "<": "\ufdd1", ">": "\ufdd2"}))
_SHOWN: Final = MappingProxyType(str.maketrans({"\ufdd0": "&", "\ufdd1": "<", "\ufdd2": ">", "\ufdd3": " "}))
_TAB: Final = "<w:t>\ufdd3</w:t>".encode()
_REFERENCE = re.compile(rb"&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});")
_BODY_PART = re.compile(r"word/[^/]+\.xml")


def hide_references(data: bytes) -> bytes:
    """The DOCX `data` with references and tabs in its texts replaced by placeholders.

    Returns `data` itself when it is no readable archive or is over the size limits: the library says why.
    """
    target = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as copy:
            for member in source.infolist():
                if not _BODY_PART.fullmatch(member.filename):
                    # Styles, relations and properties are needed, pictures and fonts are not read.
                    if member.filename.endswith((".xml", ".rels")):
                        if member.file_size > _MAX_MEMBER_BYTES:
                            return data
                        copy.writestr(member.filename, source.read(member))
                    continue
                if member.file_size > _MAX_MEMBER_BYTES:
                    return data
                body = source.read(member).replace(b"<w:tab/>", _TAB)
                copy.writestr(member.filename, _REFERENCE.sub(_hide, body))
    except UNREADABLE_ARCHIVE:
        return data
    return target.getvalue()


def show_references(text: str) -> str:
    """`text` with the placeholders turned back into the characters they stand for."""
    return text.translate(_SHOWN)


def _hide(match: re.Match[bytes]) -> bytes:
    return html.unescape(match[0].decode("ascii")).translate(_HIDDEN).encode()
