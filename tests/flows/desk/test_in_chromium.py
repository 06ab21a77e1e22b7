"""The desk in a real browser without script: from the front door to a sentence in its document, and a folder handed in."""

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from backend.embeddings.providers.local import LocalEmbedder
from backend.tenants.repository import TenantRepository
from tests.conftest import TestDatabase
from tests.documents.conftest import embedder as embedder
from tests.flows.connect_account.test_in_chromium import Relay, complaints, site
from tests.flows.connect_account.test_in_chromium import chromium as chromium
from tests.flows.connect_account.test_in_chromium import relay as relay
from tests.flows.upload_documents.scene import Bench
from tests.tenants.instances import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_folder_is_handed_in_and_asked_about_with_each_citation_one_click_away(
    database: TestDatabase, relay: Relay, chromium: "Browser", embedder: LocalEmbedder, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text("[core]")
    (folder / "ferry.md").write_text("# Ferry\n\nThe ferry to the island leaves at noon from pier seven.\n")
    (folder / "blank.txt").write_text(" ")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
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
                role="member",
                password_hash=here.web.services.passwords.hash(PASSWORD),
            )
        page.goto(here.public)
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Ask your documents").wait_for()

        page.get_by_role("link", name="Files").click()
        page.locator("input[webkitdirectory]").set_input_files(folder)
        page.get_by_role("button", name="Upload").click()
        page.get_by_text("0 of 2 processed").wait_for()
        Bench(database, embedder).work()
        # The page fetches itself anew.
        page.get_by_role("cell", name="Ready").wait_for()
        rows = page.get_by_role("row").all_inner_texts()
        assert [row.split("\t") for row in rows[1:]] == [
            ["blank.txt", "The document contains no text."],
            ["ferry.md", "Ready"],
        ]

        page.get_by_role("link", name="Ask").click()
        page.get_by_label("Question").fill("When does the ferry to the island leave?")
        page.get_by_role("button", name="Ask").click()
        page.get_by_text("leaves at noon from pier seven.").first.wait_for()
        with context.expect_page() as opened:
            page.locator(".cite").click()
        assert (
            opened.value.locator("#passage").inner_text()
            == "The ferry to the island leaves at noon from pier seven."
        )

        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in to go on").wait_for()
        page.goto(f"{here.public}/api/desk/files")
        page.get_by_role("heading", name="Sign in to go on").wait_for()
    context.close()
    assert [words for words in heard if "401" not in words] == []
