"""A citation's link in a real browser that has no session: it asks, and opens the document at the passage."""

from typing import TYPE_CHECKING
from uuid import uuid4

from backend.documents.repository import DocumentRepository
from backend.tenants.repository import TenantRepository
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.flows.connect_account.test_in_chromium import Relay, complaints, site
from tests.flows.connect_account.test_in_chromium import chromium as chromium
from tests.flows.connect_account.test_in_chromium import context as context
from tests.flows.connect_account.test_in_chromium import page as page
from tests.flows.connect_account.test_in_chromium import relay as relay
from tests.tenants.instances import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

TEXT = (
    "\n\n".join(f"Paragraph {number} says nothing." for number in range(200))
    + "\n\nThe ferry leaves at noon."
)


def test_link_of_a_citation_asks_once_and_opens_at_the_passage(
    database: TestDatabase, relay: Relay, page: "Page", make_document: MakeDocument
) -> None:
    heard = complaints(page)
    with site(database, relay) as here:
        tenant_id, email = uuid4(), f"ada-{uuid4().hex[:8]}@example.org"
        with here.web.services.db.transaction(tenant_id) as session:
            tenants = TenantRepository(session)
            tenants.create_tenant(tenant_id, name="Ferries")
            tenants.create_user(
                tenant_id,
                email=email,
                full_name="Ada",
                role="viewer",
                password_hash=here.web.services.passwords.hash(PASSWORD),
            )
            document = make_document("ferry", TEXT, title="<i>Ferry</i>")
            document_id = DocumentRepository(session).store(tenant_id, None, document)
        start = TEXT.index("The ferry")
        link = f"{here.public}/api/document/{document_id}/view?start={start}&end={len(TEXT)}#passage"

        # From the client, which is another origin, in a new tab.
        page.goto(here.frontend)
        page.evaluate(
            "address => { const a = document.createElement('a'); a.href = address; a.target = '_blank';"
            " a.textContent = 'open'; document.body.append(a) }",
            link,
        )
        with page.context.expect_page() as opened:
            page.get_by_text("open").click()
        tab = opened.value
        heard_there = complaints(tab)
        tab.get_by_role("heading", name="Sign in to go on").wait_for()
        # The style was accepted, and no script is needed.
        assert tab.locator("main").evaluate("e => getComputedStyle(e).maxWidth") == "512px"

        tab.get_by_label("E-mail address").fill(email)
        tab.get_by_label("Password").fill("Wr0ngsecret")
        tab.get_by_role("button", name="Sign in").click()
        tab.get_by_role("alert").wait_for()
        assert tab.get_by_label("E-mail address").input_value() == email

        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Sign in").click()
        tab.get_by_role("heading", name="<i>Ferry</i>").wait_for()
        assert tab.url == link
        assert tab.locator("#passage").inner_text() == "The ferry leaves at noon."
        box = tab.locator("#passage").bounding_box()
        height = tab.viewport_size
        assert box is not None
        assert height is not None
        assert 0 <= box["y"] < height["height"]

        # The next link opens at once.
        tab.goto(f"{link.partition('?')[0]}")
        assert tab.get_by_role("heading", name="<i>Ferry</i>").is_visible()
        # The browser says that a page was answered with 401: twice, as it was.
        assert [words for words in heard + heard_there if "401" not in words] == []


def test_form_works_without_script(
    database: TestDatabase, relay: Relay, chromium: "Browser", make_document: MakeDocument
) -> None:
    context: BrowserContext = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    with site(database, relay) as here:
        tab.goto(f"{here.public}/api/document/{uuid4()}/view")
        tab.get_by_label("E-mail address").fill("nobody@example.org")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Sign in").click()
        tab.get_by_text("E-mail address or password is wrong.").wait_for()
    context.close()
