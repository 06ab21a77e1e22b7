"""What the source no longer has: told by the source, or missed twice by passes over everything."""

from dataclasses import replace

from backend.connectors.providers.contract import CursorExpired, Page
from backend.documents.listing.repository import DocumentListing
from backend.documents.repository import DocumentRepository
from tests.flows.sync_connector.scene import Scene, failure, item


def gone(scene: Scene, *external_ids: str) -> Page:
    return Page({"next": 1}, gone=external_ids)


def test_item_the_source_says_is_gone_goes_at_once_with_all_it_said(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    run = scene.sync(gone(scene, "item-1", "never-seen"))
    assert scene.stored() == ["item-2"]
    assert (run.state, run.deleted_count) == ("completed", 1)
    with scene.database.admin() as connection:
        left = connection.execute(
            "SELECT (SELECT count(*) FROM chunks WHERE tenant_id = %(t)s),"
            " (SELECT count(*) FROM graph_entities WHERE tenant_id = %(t)s AND kind = 'document'),"
            " (SELECT count(*) FROM sync_items WHERE tenant_id = %(t)s)",
            {"t": scene.tenant_id},
        ).fetchone()
    assert left == (1, 1, 1)


def test_item_that_comes_back_is_stored_again(scene: Scene) -> None:
    scene.sync([item(1)])
    scene.sync(gone(scene, "item-1"))
    assert scene.sync([item(1)]).stored_count == 1
    assert scene.stored() == ["item-1"]


def test_item_gone_and_back_on_one_page_stays(scene: Scene) -> None:
    scene.sync([item(1)])
    scene.sync(Page({"next": 1}, (scene.source.entry(item(1)),), gone=("item-1",)))
    assert scene.stored() == ["item-1"]


def test_item_gone_on_one_page_and_back_on_the_next_stays(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    run = scene.sync(gone(scene, "item-1", "item-2"), [item(1), item(2, "Another text.")])
    assert (run.state, scene.stored()) == ("completed", ["item-1", "item-2"])
    assert scene.text_of("item-2") == "Another text."


def test_item_shown_on_one_page_and_gone_on_the_next_goes_and_may_come_back(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    scene.sync([item(1)], Page({"next": 2}, gone=("item-1",)))
    assert scene.stored() == ["item-2"]
    scene.sync([item(1)])
    assert scene.stored() == ["item-1", "item-2"]


def test_item_missed_once_stays_and_the_next_run_looks_again(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    run = scene.sync([item(2)], is_full=True)
    assert (scene.stored(), run.deleted_count) == (["item-1", "item-2"], 0)
    assert scene.position().is_full, "not in a week"
    run = scene.sync([item(2)])
    assert (scene.stored(), run.deleted_count) == (["item-2"], 1)
    assert not scene.position().is_full


def test_item_missed_and_seen_again_begins_at_none(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    scene.sync([item(2)], is_full=True)
    scene.sync([item(1), item(2)], is_full=True)
    scene.sync([item(2)], is_full=True)
    assert scene.stored() == ["item-1", "item-2"]


def test_pass_that_could_not_list_everything_proves_nothing(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    for _ in range(3):
        scene.sync(
            Page({"next": 1}, (scene.source.entry(item(2)),), failures=(failure("folder"),), is_full=True),
            is_full=True,
        )
    assert scene.stored() == ["item-1", "item-2"]


def test_what_could_not_be_listed_proves_nothing_about_what_it_hides_and_no_more(scene: Scene) -> None:
    scene.sync([item(1), item(2), item(3)])
    hidden = replace(failure("folder"), hides=("item-1",))
    for _ in range(2):
        scene.sync(
            Page({"next": 1}, (scene.source.entry(item(2)),), failures=(hidden,), is_full=True), is_full=True
        )
    assert scene.stored() == ["item-1", "item-2"]


def test_changes_alone_delete_nothing(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    for _ in range(3):
        scene.sync([item(2)])
    assert scene.stored() == ["item-1", "item-2"]


def test_tombstone_of_a_person_outlives_the_source(scene: Scene) -> None:
    """Deleted here, gone there, back there: still deleted."""
    scene.sync([item(1)])
    with scene.db.transaction(scene.tenant_id) as session:
        documents = DocumentRepository(session)
        (document,) = DocumentListing(session).list_ids(scene.tenant_id, limit=9)
        documents.delete(scene.tenant_id, document)
    scene.sync(gone(scene, "item-1"))
    scene.sync([item(1)])
    assert scene.stored() == []


def test_expired_cursor_lists_everything_again_in_the_same_run(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    listed = scene.source.pages

    def expires_once(since: object) -> object:
        scene.source.pages = listed  # type: ignore[method-assign]
        raise CursorExpired

    scene.source.pages = expires_once  # type: ignore[method-assign, assignment]
    run = scene.sync([item(2), item(3)])
    assert (run.state, run.stored_count, run.unchanged_count) == ("completed", 1, 1)
    assert scene.source.cursors[-1] is None
    assert scene.stored() == ["item-1", "item-2", "item-3"]


def test_listing_that_expires_while_it_runs_ends_with_the_reason(scene: Scene) -> None:
    run = scene.sync([item(1)], CursorExpired())
    assert run.state == "failed"
    assert run.error is not None
    assert "too old" in run.error
