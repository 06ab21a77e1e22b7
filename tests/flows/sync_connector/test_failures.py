"""Items that cannot be taken: recorded, passed over, tried again, and told apart from a provider that is away."""

from datetime import timedelta

from backend.connectors.providers.contract import (
    ItemGone,
    ItemUnreadable,
    NothingToRead,
    ProviderUnavailable,
    SourceItem,
)
from tests.flows.sync_connector.scene import CountingEmbedder, Scene, item

BROKEN = SourceItem(
    "broken", "Broken", b"%PDF-1.7 nothing", "application/pdf", "b.pdf", "doc", None, None, None, None, {}
)


def ledger(scene: Scene, external_id: str) -> tuple[object, ...] | None:
    with scene.database.admin() as connection:
        return connection.execute(
            "SELECT state, stage, attempt, retry_at - updated_at FROM sync_items"
            " WHERE tenant_id = %s AND external_id = %s",
            (scene.tenant_id, external_id),
        ).fetchone()


def test_item_that_cannot_be_parsed_is_recorded_and_passed_over(scene: Scene) -> None:
    run = scene.sync([item(1), BROKEN, item(2)])
    assert (run.state, run.stored_count, run.failed_count) == ("completed_with_errors", 2, 1)
    (failure,) = scene.failures(run)
    assert (failure.external_id, failure.stage) == ("broken", "parse")
    assert failure.reason.endswith(".")
    assert scene.position().cursor == {"next": 1}


def test_item_that_is_not_handed_over_is_recorded_with_the_reason(scene: Scene) -> None:
    run = scene.sync([("secret", ItemUnreadable("It is encrypted.")), item(1)])
    (failure,) = scene.failures(run)
    assert (failure.stage, failure.reason) == ("fetch", "It is encrypted.")
    assert (run.stored_count, run.failed_count, run.processed_count) == (1, 1, 2)


def test_failed_item_is_tried_again_by_its_locator_alone(scene: Scene) -> None:
    scene.sync([("item-1", ItemUnreadable("Locked."))])
    scene.source.stored["item-1"] = item(1)
    run = scene.sync()
    assert run.processed_count == 0, "tried before its time"
    scene.make_retries_due()
    run = scene.sync()
    assert (run.state, run.stored_count, run.failed_count) == ("completed", 1, 0)
    assert scene.stored() == ["item-1"]


def test_failed_tries_come_further_and_further_apart(scene: Scene) -> None:
    scene.sync([("item-1", ItemUnreadable("Locked."))])
    pauses = []
    for attempt in range(1, 4):
        found = ledger(scene, "item-1")
        assert found is not None
        assert found[:3] == ("failed", "fetch", attempt)
        assert isinstance(found[3], timedelta)
        pauses.append(found[3])
        scene.source.stored.clear()
        scene.make_retries_due()
        scene.source.before_read = _locked
        scene.sync()
    assert pauses[0] < pauses[1] < pauses[2]


def _locked(_entry: object) -> None:
    raise ItemUnreadable("Locked.")


def test_item_that_fails_and_then_succeeds_in_one_run_counts_as_stored(scene: Scene) -> None:
    """Its error is taken back, too."""
    run = scene.sync([("item-1", ItemUnreadable("Locked."))], [item(1)])
    assert (run.state, run.stored_count, run.failed_count, run.processed_count) == ("completed", 1, 0, 1)
    assert scene.failures(run) == []


def test_failed_item_is_left_alone_until_it_changes_or_is_due(scene: Scene) -> None:
    locked = ("item-1", ItemUnreadable("Locked."))
    scene.sync([locked])
    scene.source.read_ids.clear()
    scene.sync([locked])
    assert scene.source.read_ids == []
    scene.sync([item(1)])
    assert scene.source.read_ids == ["item-1"]


def test_failed_item_is_tried_again_when_everything_is_listed(scene: Scene) -> None:
    locked = ("item-1", ItemUnreadable("Locked."))
    scene.sync([locked])
    scene.source.read_ids.clear()
    scene.sync([locked], is_full=True)
    assert scene.source.read_ids == ["item-1"]


def test_changed_item_that_fails_stays_findable_as_it_was(scene: Scene) -> None:
    scene.sync([item(1, "As it was.")])
    run = scene.sync([("item-1", ItemUnreadable("Locked."))])
    assert run.failed_count == 1
    assert scene.text_of("item-1").strip() == "As it was."


def test_one_item_the_provider_cannot_hand_over_does_not_stop_the_run(scene: Scene) -> None:
    run = scene.sync([item(1), ("bad", ProviderUnavailable()), item(2)])
    assert (run.state, run.stored_count) == ("completed_with_errors", 2)
    assert [f.external_id for f in scene.failures(run)] == ["bad"]


def test_several_in_a_row_are_the_provider_s_fault_and_no_item_s(scene: Scene) -> None:
    run = scene.sync([item(1), *((f"bad-{n}", ProviderUnavailable()) for n in range(3)), item(2)])
    assert (run.state, run.stored_count, run.failed_count) == ("waiting", 1, 0)
    assert scene.failures(run) == []
    scene.source.steps[:] = [[item(1), item(2)]]
    scene.work()
    assert scene.now(run).state == "completed"


def test_item_gone_between_listing_and_reading_is_no_failure(scene: Scene) -> None:
    run = scene.sync([item(1), ("vanished", ItemGone())])
    assert (run.state, run.stored_count, run.failed_count) == ("completed", 1, 0)
    assert ledger(scene, "vanished") is None


def test_item_with_nothing_to_read_is_read_once_a_revision(scene: Scene) -> None:
    run = scene.sync([item(1), ("image", NothingToRead())], is_full=True)
    assert (run.state, run.stored_count, run.unchanged_count, run.failed_count) == ("completed", 1, 1, 0)
    for _ in range(2):
        run = scene.sync([item(1), ("image", NothingToRead())], is_full=True)
        assert (run.state, run.unchanged_count, run.deleted_count) == ("completed", 2, 0)
    assert scene.source.read_ids == ["item-1", "image"]
    assert scene.stored() == ["item-1"]


def test_document_that_has_become_nothing_to_read_goes(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    run = scene.sync([("item-1", NothingToRead())])
    assert (run.state, run.deleted_count, scene.stored()) == ("completed", 1, ["item-2"])
    scene.source.read_ids.clear()
    scene.sync([("item-1", NothingToRead()), item(2)], is_full=True)
    assert scene.source.read_ids == []
    scene.sync([item(1)])
    assert scene.stored() == ["item-1", "item-2"]


def test_hidden_item_is_not_deleted_for_that_alone(scene: Scene) -> None:
    scene.sync([item(1)])
    scene.sync([("item-1", ItemGone())])
    assert scene.stored() == ["item-1"]


def test_error_inside_a_parser_is_that_item_s(scene: Scene, embedder: CountingEmbedder) -> None:
    original = type(embedder).embed

    def embed(texts: list[str]) -> object:
        if any("explode" in text for text in texts):
            raise RuntimeError("a secret of ours")
        return original(embedder, texts)

    embedder.embed = embed  # type: ignore[method-assign, assignment]
    run = scene.sync([item(1, "explode"), item(2)])
    (failure,) = scene.failures(run)
    assert failure.reason == "Internal error (RuntimeError)."
    assert scene.stored() == ["item-2"]
