"""Connecting in a real browser, which holds pages to their policies and cookies to their attributes."""

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import pytest
from werkzeug.serving import make_server

from backend.tenants.repository import TenantRepository
from tests.conftest import Account, TestDatabase
from tests.emulators.github import CLIENT_ID, CLIENT_SECRET, GitHubEmulator, github_emulator
from tests.emulators.github_seed import Seed
from tests.emulators.node import give_up
from tests.emulators.scripted import Reply, Request, json_reply, scripted_server
from tests.tenants.instances import Instance, Person, web_instance

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
#: No sandbox, because tests may run as root; the rest keeps the browser from asking the network for anything.
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE: Final = "<script>alert(1)</script> & Sons"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@contextmanager
def served(application: Application) -> Iterator[int]:
    """Serves `application` on a free port of localhost, which is given."""
    server = make_server("localhost", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client_page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The web client, as far as it matters here: a page on another origin."""
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<!doctype html><title>The client</title>"]


class Site:
    """An installation behind one address: every request goes to the next of its two instances."""

    def __init__(self, public: str, frontend: str, instances: tuple[Instance, Instance]) -> None:
        self.public = public
        self.frontend = frontend
        self.web = instances[0]

    def auth_url(self, person: Person) -> str:
        """Where the client sends the browser."""
        url = self.web.ok("GET", "/api/integrations/github/auth", person)["auth_url"]
        assert isinstance(url, str)
        assert url.startswith(self.public)
        return url

    def github_of(self, person: Person) -> tuple[str, str | None]:
        """(status, account) as the list shows it."""
        listed = self.web.ok("GET", "/api/integrations", person)["integrations"]
        entry = next(entry for entry in listed if entry["type"] == "github")
        return entry["status"], entry["account"]


@contextmanager
def site(database: TestDatabase, port_of: "Relay", **settings: str) -> Iterator[Site]:
    """A site whose address is the relay's."""
    with served(client_page) as frontend_port, ExitStack() as stack:
        frontend = f"http://localhost:{frontend_port}"
        given = {
            "PUBLIC_URL": port_of.url,
            "FRONTEND_URL": frontend,
            "GITHUB_CLIENT_ID": CLIENT_ID,
            "GITHUB_CLIENT_SECRET": CLIENT_SECRET,
            **settings,
        }
        first, second = (
            stack.enter_context(web_instance(database, name, **given)) for name in ("site1", "site2")
        )
        port_of.serve(first.app, second.app)
        yield Site(port_of.url, frontend, (first, second))


class Relay:
    """An address that is known before what answers there is made."""

    def __init__(self) -> None:
        self.url = ""
        self._next: Iterator[Application] = iter(())
        self._lock = threading.Lock()

    def serve(self, *applications: Application) -> None:
        """From now on requests go to these in turn."""
        self._next = cycle(applications)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            application = next(self._next)
        return application(environ, start_response)


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    made = Relay()
    with served(made) as port:
        made.url = f"http://localhost:{port}"
        yield made


@pytest.fixture(scope="module")
def emulator(relay: Relay) -> Iterator[GitHubEmulator]:
    with github_emulator(
        Seed(()), redirect_uris=(f"{relay.url}/api/integrations/github/callback",)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A running browser; without one the tests are skipped, and fail on CI."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        give_up(f"None of {', '.join(NAMES)} is on the PATH.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        give_up("The package playwright is not installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: "Browser") -> Iterator["BrowserContext"]:
    """A fresh profile: no cookies, no history."""
    made = chromium.new_context(viewport={"width": 900, "height": 760})
    made.set_default_timeout(45_000)
    yield made
    made.close()


@pytest.fixture
def page(context: "BrowserContext") -> "Page":
    return context.new_page()


def complaints(page: "Page") -> list[str]:
    """What the browser complains about from now on: blocked forms, styles, scripts that ran."""
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    return heard


def make_person(site: Site) -> Person:
    """An administrator whose workspace has a name that tries to be more than a name."""
    tenant_id, email = uuid4(), f"ada-{uuid4().hex[:8]}@example.org"
    with site.web.services.db.transaction(tenant_id) as session:
        tenants = TenantRepository(session)
        tenant = tenants.create_tenant(tenant_id, name=HOSTILE)
        user = tenants.create_user(
            tenant_id, email=email, full_name="Ada Lovelace", role="admin", password_hash="!"
        )
    return site.web.sign_in(Account(tenant_id, user.id, tenant.slug, email))


def test_connect_in_a_fresh_browser_asks_and_ends_at_the_client(
    database: TestDatabase, relay: Relay, emulator: GitHubEmulator, page: "Page", tmp_path: Path
) -> None:
    heard = complaints(page)
    bases = {"GITHUB_AUTHORIZE_BASE": emulator.base_url, "GITHUB_API_BASE": emulator.base_url}
    with site(database, relay, **bases) as here:
        person = make_person(here)
        page.goto(here.auth_url(person))
        assert page.title() == "Connect GitHub"
        for words in (HOSTILE, person.account.slug, "Ada Lovelace", person.account.email):
            assert page.get_by_text(words, exact=True).is_visible()
        page.screenshot(path=tmp_path / "confirmation.png")
        # The style was accepted: without it there is no card.
        assert page.locator("main").evaluate("e => getComputedStyle(e).maxWidth") == "512px"

        page.get_by_role("button", name="Continue to GitHub").click()
        page.wait_for_url(f"{emulator.base_url}/login/oauth/authorize?*")
        page.locator("button.user-btn").filter(has_text="octocat").first.click()
        page.wait_for_url(f"{here.frontend}/integrations?success=github")

        assert page.title() == "The client"
        assert here.github_of(person) == ("connected", "octocat")
        assert heard == []
        # Going back leads to the page that asks, not through one that goes on by itself.
        page.go_back()
        page.go_back()
        assert page.title() == "Connect GitHub"


def test_connect_where_the_provider_passes_the_browser_on_is_not_blocked(
    database: TestDatabase, relay: Relay, page: "Page"
) -> None:
    heard = complaints(page)

    def elsewhere(request: Request) -> Reply:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        back = {"code": "a-code", "state": query["state"]}
        return Reply(302, b"", {"location": f"{query['redirect_uri']}?{urlencode(back)}"})

    with scripted_server(elsewhere) as other_origin:

        def provider(request: Request) -> Reply:
            if request.path.startswith("/login/oauth/access_token"):
                return json_reply({"access_token": "gho_x", "token_type": "bearer", "scope": "repo"})
            if request.path == "/user":
                return json_reply({"id": 583231, "login": "octocat"})
            return Reply(
                302, b"", {"location": f"{other_origin.base_url}/sso?{urlsplit(request.path).query}"}
            )

        with scripted_server(provider) as door:
            bases = {"GITHUB_AUTHORIZE_BASE": door.base_url, "GITHUB_API_BASE": door.base_url}
            with site(database, relay, **bases) as here:
                person = make_person(here)
                page.goto(here.auth_url(person))
                page.get_by_role("button", name="Continue to GitHub").click()
                page.wait_for_url(f"{here.frontend}/integrations?success=github")
                assert here.github_of(person) == ("connected", "octocat")
    assert heard == []


def test_attempt_that_fails_after_the_question_ends_at_the_client(
    database: TestDatabase, relay: Relay, emulator: GitHubEmulator, page: "Page"
) -> None:
    heard = complaints(page)
    with site(database, relay, GITHUB_AUTHORIZE_BASE=emulator.base_url) as here:
        person = make_person(here)
        page.goto(here.auth_url(person))
        with database.admin() as connection:
            connection.execute(
                "UPDATE oauth_nonces SET expires_at = now() WHERE tenant_id = %s", (person.tenant_id,)
            )
        page.get_by_role("button", name="Continue to GitHub").click()
        page.wait_for_url(f"{here.frontend}/integrations?error=*")
        assert "took too long" in page.url.replace("+", " ")
        assert here.github_of(person) == ("not_configured", None)

        page.goto(here.auth_url(person))
        page.get_by_role("link", name="Cancel").click()
        page.wait_for_url(f"{here.frontend}/integrations")
    assert heard == []
