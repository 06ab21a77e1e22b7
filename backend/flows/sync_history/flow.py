"""Where a page of the history ends, as text that clients hand back."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from backend.errors import Invalid
from backend.sync.models import SyncRun


class CursorInvalid(Invalid):
    """This cursor is not one of ours; begin at the first page."""


def cursor_of(run: SyncRun) -> str:
    """The place after `run` in a list of runs."""
    return text_cursor(f"{run.created_at.isoformat()} {run.id}")


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """(created_at, id) of the run a cursor was made of. Raises CursorInvalid."""
    moment, _, run_id = read_text_cursor(cursor).partition(" ")
    try:
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            raise CursorInvalid
        return at, UUID(run_id)
    except ValueError as error:
        raise CursorInvalid from error


def text_cursor(text: str) -> str:
    """The place after what is called `text`."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_text_cursor(cursor: str) -> str:
    """What a cursor of `text_cursor` was made of; nothing of an empty one. Raises CursorInvalid."""
    try:
        text = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise CursorInvalid from error
    if "\x00" in text:
        raise CursorInvalid
    return text
