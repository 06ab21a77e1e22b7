"""Time between requests, for services that ask for it."""

import time


class Pace:
    """Lets requests begin some seconds apart. One source's; another process has its own."""

    def __init__(self) -> None:
        self._last_at = float("-inf")

    def wait(self, seconds: float) -> None:
        """Sleeps until `seconds` after the last time this returned."""
        left = self._last_at + seconds - time.monotonic()
        if left > 0:
            time.sleep(left)
        self._last_at = time.monotonic()
