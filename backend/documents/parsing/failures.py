"""The ways reading a document can fail; every one is final for the bytes at hand, so none is retried."""

import lzma
import struct
import zipfile
import zlib
from types import MappingProxyType
from typing import Final

from backend.errors import Invalid, Unavailable

#: What `zipfile` raises for a damaged, encrypted or exotic archive.
UNREADABLE_ARCHIVE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
)


class ParseFailed(Invalid):
    """The document could not be read."""


class EmptyDocument(ParseFailed):
    """The document contains no text."""


class UnsupportedFormat(ParseFailed):
    """Documents of this format cannot be read."""


class EncryptedDocument(ParseFailed):
    """The document is protected by a password."""


class BrokenDocument(ParseFailed):
    """The document is damaged or is not what its name says."""


class DocumentTooLarge(ParseFailed):
    """The document is larger than what is read."""


class ParsingTookTooLong(ParseFailed):
    """Reading the document took too long."""


class ParsingTookTooMuchMemory(ParseFailed):
    """Reading the document took too much memory."""


class ExpandsTooMuch(ParseFailed):
    """The document expands to far more than it shows, as no document for people does."""


class ParserCrashed(ParseFailed):
    """The program that reads documents crashed on this one."""


class ReaderUnavailable(Unavailable):
    """No process that reads documents can be started."""


#: Failures by name, as the reading process says them.
KINDS: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            BrokenDocument,
            DocumentTooLarge,
            EmptyDocument,
            EncryptedDocument,
            ExpandsTooMuch,
            ParserCrashed,
            ParsingTookTooLong,
            ParsingTookTooMuchMemory,
            UnsupportedFormat,
        )
    }
)
