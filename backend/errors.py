"""What can go wrong with a piece of state, in the words of the product; nothing here knows Flask or SQL.

A concrete error subclasses one of the kinds below, and the first line of its docstring is its message.
The kind decides the HTTP status (`backend/app.py`), the class name decides the `error_code`.
"""

import re
from typing import Any


class StateError(Exception):
    """Something about the stored state forbids what was asked."""

    #: Sent to clients as `error_code` when the class name would not say it; UPPER_SNAKE.
    code: str | None = None

    def __init__(self, message: str | None = None, **context: Any) -> None:
        self.message = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        #: Safe for clients: never a secret, never another tenant's data.
        self.context = context
        super().__init__(self.message)

    @property
    def error_code(self) -> str:
        """The class name in UPPER_SNAKE (`NonceAlreadyUsed` -> `NONCE_ALREADY_USED`), or `code` if set."""
        return self.code or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).upper()


class Invalid(StateError):
    """What was sent cannot be accepted as it is."""


class Unauthenticated(StateError):
    """Sign in to do this."""


class Forbidden(StateError):
    """This is not allowed for you."""


class NotFound(StateError):
    """There is no such thing here."""


class Conflict(StateError):
    """The state has moved on since it was read."""


class Outdated(StateError):
    """It has changed since the version that was named."""


class Expired(StateError):
    """Its time has run out."""


class Locked(StateError):
    """It is locked for now."""


class TooLarge(StateError):
    """It is larger than this installation accepts."""


class Unprocessable(StateError):
    """What was sent makes sense, but not here."""


class TooMany(StateError):
    """That was too often; wait a moment."""


class Unavailable(StateError):
    """Something this needs does not answer right now; try again."""
