"""Bytes to characters, for text whose encoding nobody declared."""

import codecs
from typing import Final

_BYTE_ORDER_MARKS: Final = (
    # UTF-32 first: its little-endian mark begins with UTF-16's.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES: Final = 64 * 1024


def decode(data: bytes, *, declared: str | None = None) -> str:
    """The text in `data`, whatever its encoding; bytes that mean nothing in it become U+FFFD.

    UTF-8 is what its bytes show; only what is not UTF-8 is read as `declared`, an encoding's name. Never
    raises: the last resort, Windows-1252, gives every byte a meaning or U+FFFD.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if wide := _unmarked_utf16(data):
        return data.decode(wide, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        if declared and (text := _decode_declared(data, declared)) is not None:
            return text
    as_utf8 = data.decode("utf-8", errors="replace")
    damaged = as_utf8.count("\ufffd")
    intact = sum(character > "\x7f" for character in as_utf8) - damaged
    # Text in another encoding almost never forms valid multi-byte sequences: where they prevail, the text
    # is UTF-8 with a few damaged places (cut in the middle of a character, two files pasted together).
    if intact > 4 * damaged:
        return as_utf8
    return data.decode(_legacy_encoding(data), errors="replace")


def _decode_declared(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError):
        return None


def looks_binary(data: bytes) -> bool:
    """Whether `data` is no text in any encoding, judged by its share of control characters."""
    sample = data[:_SAMPLE_BYTES]
    if any(data.startswith(mark) for mark, _ in _BYTE_ORDER_MARKS) or _unmarked_utf16(data):
        return False
    # NUL does not count: text with a stray NUL is common, and a format that is full of them has others too.
    controls = sum(byte < 32 and byte not in b"\0\t\n\v\f\r\x1b" for byte in sample)
    return controls > max(3, len(sample) // 50) or sample.count(0) > max(3, len(sample) // 10)


def _unmarked_utf16(data: bytes) -> str | None:
    sample = data[:_SAMPLE_BYTES]
    if len(sample) < 4 or len(data) % 2:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > half * 0.7 and not even:
        return "utf-16-le"
    if even > half * 0.7 and not odd:
        return "utf-16-be"
    return None


def _legacy_encoding(data: bytes) -> str:
    """Statistical detection errs on western text with a few accents; Windows-1252 is right there. It is
    asked only where many bytes are not ASCII: other scripts, and central European languages at length."""
    sample = data[:_SAMPLE_BYTES]
    foreign = sum(byte > 127 for byte in sample) / len(sample)
    if foreign > (1 / 6 if len(sample) >= 256 else 1 / 2):
        # Imported where it is used: its tables take 4 MB in every process, for files that are rare.
        from charset_normalizer import from_bytes

        best = from_bytes(sample).best()
        if best is not None:
            return best.encoding
    return "cp1252"
