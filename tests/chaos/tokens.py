"""An authorization server whose access tokens can be ended, and whose refresh tokens work once each."""

import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.emulators.scripted import Reply, Request, json_reply


class Tokens:
    """One account's tokens; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._access = ""
        self._refresh = ""
        self._number = 0
        #: How often tokens were renewed, and how often a refresh token was shown that had been used already.
        self.renewed = 0
        self.reused = 0
        #: Called once a refresh token is spent, before the answer is sent.
        self.before_answer: Callable[[], None] = lambda: None

    def authorize(self, address: str, _login: str = "octocat") -> str:
        """Consent: where the browser goes from the authorization page at `address`."""
        asked = httpx2.URL(address).params
        return f"{asked['redirect_uri']}?{urlencode({'code': 'consent', 'state': asked['state']})}"

    def end(self) -> None:
        """From now on the access token is refused."""
        with self._lock:
            self._access = ""

    def accepts(self, request: Request) -> bool:
        """Whether the request's access token is the newest one, and has not ended."""
        with self._lock:
            return bool(self._access) and request.headers.get("authorization") == f"Bearer {self._access}"

    def answer(self, request: Request) -> Reply:
        """The token endpoint."""
        if urlsplit(request.path).path != "/login/oauth/access_token":
            return json_reply({"message": "Not Found"}, 404)
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        is_renewal = form.get("grant_type") == "refresh_token"
        with self._lock:
            if is_renewal and form.get("refresh_token") != self._refresh:
                self.reused += 1
                return json_reply({"error": "bad_refresh_token"})
            self.renewed += is_renewal
            self._number += 1
            self._access, self._refresh = f"ghu_{self._number}", f"ghr_{self._number}"
            issued = {"access_token": self._access, "refresh_token": self._refresh, "token_type": "bearer"}
        if is_renewal:
            self.before_answer()
        return json_reply({**issued, "expires_in": 28800, "scope": ""})
