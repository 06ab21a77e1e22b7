"""A browser that may be sent to another instance with every request, and what it reads there."""

from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from werkzeug.test import Client, TestResponse

from tests.emulators.github import GitHubEmulator
from tests.tenants.instances import Instance, Person

PUBLIC: Final = "http://localhost:5003"
FRONTEND: Final = "http://localhost:3000"
CONNECTED: Final = (("success", "github"),)


class Browser:
    """One browser: its cookies go to whichever instance the load balancer chooses."""

    def __init__(self, first: Instance) -> None:
        self._at = first
        self._client = Client(self._serve, TestResponse)

    def get(self, url: str, at: Instance) -> TestResponse:
        """Opens `url`, an address under PUBLIC, at an instance."""
        return self._open("GET", url, at)

    def post(self, url: str, form: dict[str, str], at: Instance) -> TestResponse:
        """Sends a form."""
        return self._open("POST", url, at, data=form)

    def restore(self, person: Person, at: Instance) -> None:
        """Loads the client with `person`'s tokens in it, which leaves the session cookie."""
        self._at = at
        self._client.get("/api/auth/me", base_url=PUBLIC, headers=person.headers)
        assert self._client.get_cookie("secondbrain_session", path="/api") is not None

    def cookie(self, name: str = "secondbrain_browser", path: str = "/api/integrations") -> str:
        """A cookie's value."""
        found = self._client.get_cookie(name, path=path)
        assert found is not None
        return found.value

    def _open(self, method: str, url: str, at: Instance, **more: Any) -> TestResponse:
        assert url.startswith(PUBLIC)
        self._at = at
        return self._client.open(url.removeprefix(PUBLIC), method=method, base_url=PUBLIC, **more)

    def _serve(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return self._at.app(environ, start_response)


class Page(HTMLParser):
    """What a person and a browser make of a page."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        assert answer.status_code == 200, answer.headers
        assert answer.mimetype == "text/html"
        self.action = ""
        self.form: dict[str, str] = {}
        self.onward = ""
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by `feed`."""
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "form":
            self.action = f"{PUBLIC}{given['action']}"
        elif tag == "input":
            self.form[given["name"]] = given["value"]
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            self.onward = given["content"].partition("url=")[2]

    def handle_data(self, data: str) -> None:
        """Called by `feed`."""
        self.words.append(data.strip())


def auth_url(person: Person, at: Instance) -> str:
    """Where the client sends the browser."""
    url = at.ok("GET", "/api/integrations/github/auth", person)["auth_url"]
    assert isinstance(url, str)
    assert url.startswith(f"{PUBLIC}/api/integrations/github/begin?ticket=")
    return url


def confirm(browser: Browser, url: str, at: Instance) -> str:
    """Opens the begin address without a session and says yes; returns the provider's address."""
    page = Page(browser.get(url, at))
    return Page(browser.post(page.action, page.form, at)).onward


def consent(browser: Browser, person: Person, github: GitHubEmulator, at: Instance) -> str:
    """Everything up to and with the provider's consent; returns the callback's address."""
    return github.authorize(confirm(browser, auth_url(person, at), at), "octocat")


def outcome(answer: TestResponse, status: int = 302) -> tuple[tuple[str, str], ...]:
    """What a redirect to the client says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    location = urlsplit(answer.headers["Location"])
    assert location._replace(query="").geturl() == f"{FRONTEND}/integrations"
    return tuple(parse_qsl(location.query))


def reason(answer: TestResponse, status: int = 302) -> str:
    """Why it did not work, as the client shows it: one short sentence."""
    ((name, text),) = outcome(answer, status)
    assert name == "error"
    assert 0 < len(text) < 100
    assert not set(text) & set("<>{}\n")
    return text
