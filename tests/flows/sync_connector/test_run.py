"""Runs over pages: stored, unchanged, cancelled, taken over, and where the next one goes on."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.configs.repository import ConfigRepository
from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import (
    CursorExpired,
    ItemUnreadable,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.repository import ConnectorRepository
from backend.documents.repository import DocumentRepository
from backend.flows.sync_connector import turn
from backend.flows.sync_connector.flow import JOB_KIND, cancel_sync, start_sync
from backend.jobs.claim import LeaseLost
from backend.jobs.repository import JobRepository
from backend.sync.repository import SyncRunRepository
from tests.flows.sync_connector.scene import CountingEmbedder, Scene, Step, failure, item


def test_run_reads_each_item_as_configured_then(scene: Scene) -> None:
    """What is published between two pages counts for the second one."""
    text = "This is a sentence of some length. " * 100

    def publish() -> None:
        with scene.db.transaction(scene.tenant_id) as session:
            config = ParserConfig(chunk_characters=300, max_bytes=2 * len(text))
            ConfigRepository(session).publish(scene.tenant_id, config, expected=0)

    run = scene.sync([item(1, text)], publish, [item(2, text + "And more."), item(3, 3 * text)])
    with scene.database.admin() as connection:
        rows = connection.execute(
            "SELECT d.external_id, max(length(c.text)) FROM documents AS d JOIN chunks AS c"
            " ON c.document_id = d.id GROUP BY 1"
        ).fetchall()
    longest = {str(external_id): int(str(characters)) for external_id, characters in rows}
    assert set(longest) == {"item-1", "item-2"}
    assert longest["item-1"] > 300 >= longest["item-2"]
    (failure,) = scene.failures(run)
    assert (failure.external_id, failure.stage) == ("item-3", "parse")


def test_run_stores_every_page_and_finishes(scene: Scene) -> None:
    run = scene.sync([item(1), item(2)], [], [item(3)])
    assert (run.state, run.stored_count, run.found_count, run.processed_count) == ("completed", 3, 3, 3)
    assert scene.job_of(run).state == "succeeded"
    assert scene.stored() == ["item-1", "item-2", "item-3"]
    assert scene.source.opened_with == ["the-token"]
    assert scene.source.closed == 1
    position = scene.position()
    assert (position.cursor, position.is_full, position.full_at is not None) == ({"next": 3}, False, True)


def test_next_run_goes_on_where_the_last_one_ended(scene: Scene) -> None:
    scene.sync([item(1)])
    scene.source.steps.append([item(2)])
    scene.start()
    scene.work()
    assert scene.source.cursors == [None, {"next": 1}]
    assert scene.stored() == ["item-1", "item-2"]
    assert scene.position().cursor == {"next": 2}


def test_full_run_begins_anew_and_reads_nothing_that_is_unchanged(
    scene: Scene, embedder: CountingEmbedder
) -> None:
    scene.sync([item(1), item(2)])
    before = embedder.calls
    scene.source.read_ids.clear()
    run = scene.sync([item(1), item(2, "Something else now.")], is_full=True)
    assert scene.source.cursors == [None, None]
    assert scene.source.read_ids == ["item-2"]
    assert (run.is_full, run.stored_count, run.unchanged_count) == (True, 1, 1)
    assert embedder.calls - before == 1


def test_item_without_a_revision_is_read_but_not_parsed_again(
    scene: Scene, embedder: CountingEmbedder
) -> None:
    scene.source.tells_revisions = False
    scene.sync([item(1)])
    before = embedder.calls
    run = scene.sync([item(1)])
    assert scene.source.read_ids == ["item-1", "item-1"]
    assert (run.unchanged_count, embedder.calls - before) == (1, 0)


def test_everything_is_listed_again_after_a_week(scene: Scene) -> None:
    scene.sync([item(1)])
    with scene.database.admin() as connection:
        connection.execute("UPDATE sync_positions SET full_at = now() - interval '8 days'")
    run = scene.start()
    scene.work()
    assert scene.source.cursors == [None, None]
    assert scene.now(run).is_full


def test_item_that_comes_twice_counts_once(scene: Scene) -> None:
    run = scene.sync([item(1), item(2), item(1)], [item(2), item(3)])
    assert (run.stored_count, run.unchanged_count, run.processed_count) == (3, 0, 3)


def test_text_with_nul_characters_is_stored_without_them(scene: Scene) -> None:
    odd = item(1, "Before\x00after.", label="a\x00b")
    assert scene.sync([replace(odd, title="A\x00title")]).state == "completed"


def test_rate_limit_waits_without_a_worker_and_goes_on(scene: Scene) -> None:
    resume_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=7)
    run = scene.sync([item(1)], RateLimited(resume_at), [item(2)])
    assert (run.state, run.resume_at, scene.position().cursor) == ("waiting", resume_at, {"next": 1})
    job = scene.job_of(run)
    assert (job.state, job.run_at, job.worker_id) == ("queued", resume_at, None)
    scene.source.steps[1] = []
    scene.work()
    assert scene.now(run).state == "completed"
    assert scene.source.cursors == [None, {"next": 1}]
    assert scene.stored() == ["item-1", "item-2"]


def test_rate_limit_in_the_middle_of_a_page_keeps_what_was_read(scene: Scene) -> None:
    """A page that takes more requests than a limit allows must not begin anew for ever."""
    limit = RateLimited(datetime.now(UTC) + timedelta(minutes=7))
    run = scene.sync([item(1), item(2), ("item-3", limit)])
    assert (run.state, run.stored_count, run.found_count) == ("waiting", 2, 3)
    assert scene.stored() == ["item-1", "item-2"]
    assert scene.position().cursor is None
    scene.source.steps[0] = [item(1), item(2), item(3)]
    scene.source.read_ids.clear()
    scene.work()
    now = scene.now(run)
    assert scene.source.read_ids == ["item-3"]
    assert (now.state, now.stored_count, now.unchanged_count, now.found_count) == ("completed", 3, 0, 3)


def test_provider_away_is_tried_again_and_interrupted_in_the_end(scene: Scene) -> None:
    run = scene.sync(ProviderUnavailable())
    assert run.state == "waiting"
    assert run.note is not None
    assert "again" in run.note
    for _ in range(scene.job_of(run).max_attempts - 1):
        scene.work()
    ended = scene.now(run)
    assert (ended.state, ended.error) == ("interrupted", ProviderUnavailable().message)
    assert scene.job_of(run).state == "dead"


def test_interrupted_run_is_gone_on_with_by_the_next(scene: Scene) -> None:
    run = scene.sync([item(1)], ProviderUnavailable(), [item(2)])
    with scene.database.admin() as connection:
        connection.execute("UPDATE jobs SET attempt = max_attempts")
    scene.work()
    assert scene.now(run).state == "interrupted"
    scene.source.steps[1] = []
    scene.start()
    scene.work()
    assert scene.source.cursors[-1] == {"next": 1}
    assert scene.stored() == ["item-1", "item-2"]


def test_tries_are_counted_anew_after_progress(scene: Scene) -> None:
    run = scene.start()
    for place in range(14):
        pages: list[Step] = [[item(n)] for n in range(place + 1)]
        scene.source.steps[:] = [*pages, ProviderUnavailable()]
        scene.work()
    scene.source.steps[-1] = []
    scene.work()
    assert scene.now(run).state == "completed"


def test_tries_are_not_counted_anew_by_seeing_the_same_again(scene: Scene) -> None:
    run = scene.sync([item(1), *((f"bad-{n}", ProviderUnavailable()) for n in range(3))])
    for _ in range(scene.job_of(run).max_attempts):
        if scene.now(run).is_finished:
            break
        scene.work()
    assert scene.now(run).state == "interrupted"


def test_embedding_away_keeps_what_was_embedded(scene: Scene, embedder: CountingEmbedder) -> None:
    embedder.failing = True
    run = scene.sync([item(1)])
    assert (scene.stored(), run.state) == ([], "waiting")
    embedder.failing = False
    scene.work()
    assert (scene.stored(), scene.now(run).state) == (["item-1"], "completed")


def test_refusal_fails_the_run_and_stays_connected(scene: Scene) -> None:
    run = scene.sync(ProviderRefused("The account may not read this."))
    assert (run.state, run.error) == ("failed", "The account may not read this.")
    assert scene.connector_now().status == "connected"


def test_lost_lease_discards_the_batch(scene: Scene) -> None:
    def fall_silent() -> None:
        with scene.database.admin() as connection:
            connection.execute("UPDATE workers SET heartbeat_at = now() - interval '1 hour'")
        with scene.db.operator_transaction() as session:
            assert len(JobRepository(session).release_stalled()) == 1

    scene.source.steps[:] = [[item(1)], fall_silent, [item(2)]]
    run = scene.start()
    with pytest.raises(LeaseLost):
        scene.work()
    assert scene.stored() == ["item-1"]
    assert scene.position().cursor == {"next": 1}
    scene.source.steps[1] = []
    with scene.database.admin() as connection:
        connection.execute("UPDATE workers SET heartbeat_at = now()")
    scene.work()
    assert scene.now(run).state == "completed"
    assert scene.stored() == ["item-1", "item-2"]


def test_lost_lease_does_not_send_the_next_worker_to_the_beginning(scene: Scene) -> None:
    def fall_silent() -> None:
        with scene.database.admin() as connection:
            connection.execute("UPDATE workers SET heartbeat_at = now() - interval '1 hour'")
        with scene.db.operator_transaction() as session:
            assert len(JobRepository(session).release_stalled()) == 1

    scene.sync([item(1)])
    scene.source.steps[:] = [[item(1)], fall_silent, CursorExpired()]
    scene.start()
    with pytest.raises(LeaseLost):
        scene.work()
    assert (scene.position().cursor, scene.position().pass_number) == ({"next": 1}, 1)


def test_cancel_stops_after_the_page(scene: Scene) -> None:
    def cancel() -> None:
        with scene.db.transaction(scene.tenant_id) as session:
            cancel_sync(session, SyncRunRepository(session).get(scene.tenant_id, run.id))

    scene.source.steps[:] = [[item(1)], cancel, [item(2)], [item(3)]]
    run = scene.start()
    scene.work()
    assert scene.now(run).state == "cancelled"
    assert scene.job_of(run).state == "cancelled"
    assert scene.stored() == ["item-1", "item-2"]


def test_cancel_stops_within_a_page(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_SECONDS_BETWEEN_NOTES", 0.0)

    def cancel_before_third(entry: object) -> None:
        if len(scene.source.read_ids) == 3:
            with scene.db.transaction(scene.tenant_id) as session:
                cancel_sync(session, SyncRunRepository(session).get(scene.tenant_id, run.id))

    scene.source.before_read = cancel_before_third
    scene.source.steps[:] = [[item(n) for n in range(9)]]
    run = scene.start()
    scene.work()
    now = scene.now(run)
    assert (now.state, now.stored_count) == ("cancelled", 2)
    assert scene.stored() == ["item-0", "item-1"]
    # The next one reads the rest of the page, and only that.
    scene.source.before_read = lambda _entry: None
    scene.source.read_ids.clear()
    scene.start()
    scene.work()
    assert scene.source.read_ids == [f"item-{n}" for n in range(2, 9)]


def test_cancel_before_a_worker_took_it_ends_at_once(scene: Scene) -> None:
    run = scene.start()
    with scene.db.transaction(scene.tenant_id) as session:
        cancel_sync(session, run)
    assert scene.now(run).state == "cancelled"
    with scene.db.operator_transaction() as session:
        assert JobRepository(session).claim(scene.worker_id, (JOB_KIND,)) == []


def test_told_to_stop_gives_back_and_another_goes_on(scene: Scene) -> None:
    scene.source.steps[:] = [[item(1)], [item(2)], [item(3)]]
    run = scene.start()
    scene.work(should_stop=lambda: True)
    assert scene.stored() == []
    assert scene.job_of(run).state == "queued"
    asked = iter((False, True))
    scene.work(should_stop=lambda: next(asked, True))
    assert scene.stored() == ["item-1"]
    scene.work()
    assert scene.now(run).state == "completed"
    assert scene.stored() == ["item-1", "item-2", "item-3"]
    assert scene.source.cursors[-1] == {"next": 1}


def test_turn_makes_room_for_other_tenants(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_TURN_SECONDS", 0.0)
    scene.source.steps[:] = [[item(1)], [item(2)]]
    run = scene.start()
    claim = scene.claim()
    other = scene.database.make_tenant()
    connector = scene.connect(other)
    with scene.db.transaction(other.tenant_id) as session:
        start_sync(session, connector, requested_by=other.user_id)
    scene.handler.run(claim, lambda: False)
    assert scene.job_of(run).state == "queued"
    assert len(scene.stored()) < 2


def test_turn_goes_on_while_nobody_else_waits(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "_TURN_SECONDS", 0.0)
    assert scene.sync([item(1)], [item(2)]).state == "completed"


def test_disconnected_meanwhile_fails_with_the_reason(scene: Scene) -> None:
    run = scene.start()
    with scene.db.transaction(scene.tenant_id) as session:
        ConnectorRepository(session).disconnect(scene.tenant_id, scene.connector.id)
    scene.work()
    assert (scene.now(run).state, scene.now(run).error) == ("failed", "The source was disconnected.")


def test_document_deleted_here_stays_deleted_and_is_not_even_read(scene: Scene) -> None:
    scene.sync([item(1), item(2)])
    with scene.db.transaction(scene.tenant_id) as session:
        documents = DocumentRepository(session)
        (first,) = documents.find_ids(scene.tenant_id, scene.connector.id, ["item-1"])
        documents.delete(scene.tenant_id, first)
    scene.source.read_ids.clear()
    run = scene.sync([item(1, "Changed at the source."), item(2)])
    assert (run.unchanged_count, scene.source.read_ids) == (2, [])
    assert scene.stored() == ["item-2"]


def test_total_is_the_provider_s_and_never_a_guess(scene: Scene) -> None:
    entry = scene.source.entry
    run = scene.sync(Page({"next": 1}, (entry(item(1)),), total=7), [item(2)])
    assert (run.total_count, run.processed_count) == (7, 2)
    assert scene.sync([item(3)]).total_count is None


def test_every_change_of_state_says_when_by_whom_and_why(scene: Scene) -> None:
    resume_at = datetime.now(UTC) + timedelta(minutes=7)
    run = scene.sync(RateLimited(resume_at))
    scene.source.steps[0] = [("item-1", ItemUnreadable("It is encrypted."))]
    scene.work()
    with scene.db.transaction(scene.tenant_id) as session:
        transitions = SyncRunRepository(session).list_transitions(scene.tenant_id, run.id)
    user, worker = f"user {scene.account.user_id}", f"worker {scene.worker_id}"
    assert [(t.state, t.actor) for t in transitions] == [
        ("queued", user),
        ("running", worker),
        ("waiting", worker),
        ("running", worker),
        ("completed_with_errors", worker),
    ]
    assert transitions[2].reason == "Waiting for the provider's rate limit"
    assert [t.seq for t in transitions] == sorted({t.seq for t in transitions})


def test_run_is_written_to_ten_times_a_second_at_most(scene: Scene) -> None:
    """Empty pages by the hundred: their cursors are written together, the last one for certain."""
    run = scene.sync(*[[] for _ in range(300)])
    assert scene.position().cursor == {"next": 300}
    assert run.seq < 60


def test_source_that_lists_badly_is_recorded(scene: Scene) -> None:
    run = scene.sync(Page({"next": 1}, (scene.source.entry(item(1)),), failures=(failure("gone"),), total=2))
    assert (run.state, run.failed_count, run.processed_count) == ("completed_with_errors", 1, 2)
    (recorded,) = scene.failures(run)
    assert (recorded.external_id, recorded.reason) == ("gone", "It was deleted meanwhile.")


def test_pages_are_not_read_ahead(scene: Scene) -> None:
    """One page in memory: a page is asked for when the one before has been dealt with."""
    seen: list[int] = []
    pages = scene.source.pages

    def watched(since: Mapping[str, Any] | None) -> Iterator[Page]:
        for page in pages(since):
            seen.append(len(scene.source.read_ids))
            yield page

    scene.source.pages = watched  # type: ignore[method-assign]
    scene.sync([item(1)], [item(2)], [item(3)])
    assert seen == [0, 1, 2]
