"""What a passage is embedded with; apart from all else, because the processes that read documents need it alone."""

from collections.abc import Sequence


def in_context(title: str, heading_path: Sequence[str], text: str) -> str:
    """What is embedded of a passage: it, and what it stands under; alone, "It must be 8 MB" means nothing."""
    return "\n".join((title, *heading_path[-2:], text))
