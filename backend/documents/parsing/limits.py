"""What reading one document may take; the defaults are those of the config `parser`."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document's reading, all of them positive.

    `max_bytes` bounds the file, `max_characters` the text that is kept (the rest is cut, and said to be),
    `timeout_seconds` the time by the clock, `max_memory_bytes` what the reading process takes beyond its size at
    rest. The other three bound what an archive (DOCX, XLSX, EPUB, …) says that it holds.
    """

    max_bytes: int = 32 * MIB
    max_characters: int = 5_000_000
    timeout_seconds: int = 120
    max_memory_bytes: int = 1024 * MIB
    max_expanded_bytes: int = 512 * MIB
    max_expansion_ratio: int = 250
    max_archive_entries: int = 10_000
