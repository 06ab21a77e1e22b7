"""What is stored, beside what the source has: each item once, whole, in its newest version."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from tests.chaos.crew import Crew
from tests.chaos.faults import Faults

_MARKS: Final = re.compile(r"Mark ([0-9a-f]{12}) (begins|ends)\.")


@dataclass(slots=True)
class Verdict:
    """What was found at the end; `problems` says in sentences what must not be."""

    items: int
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def look(crew: Crew) -> tuple[set[str], int, int]:
    """(stored items, how many are recorded as stored and are not, how many are there more than once), now."""
    # One statement, one moment: the sync goes on meanwhile.
    rows = crew.rows(
        "WITH stored AS (SELECT d.external_id, count(*) AS copies FROM documents AS d WHERE d.deleted_at IS NULL"
        " AND EXISTS (SELECT FROM chunks AS c WHERE c.tenant_id = d.tenant_id AND c.document_id = d.id) GROUP BY 1),"
        " recorded AS (SELECT external_id FROM sync_items WHERE state = 'stored')"
        " SELECT external_id, coalesce(copies, 0), r.external_id IS NOT NULL"
        " FROM stored FULL JOIN recorded AS r USING (external_id)"
    )
    names = {name for name, copies, _ in rows if copies}
    missing = sum(is_recorded and not copies for _, copies, is_recorded in rows)
    return names, missing, sum(copies - 1 for _, copies, _ in rows if copies)


def judge(crew: Crew, faults: Faults, runs: Sequence[UUID]) -> Verdict:
    """Compares everything; the source stands still, and `runs`, oldest first, are over."""
    expected = faults.hub.expected()
    verdict = Verdict(len(expected))
    stubborn = {faults.stubborn} & expected.keys()
    wanted = expected.keys() - stubborn
    found: dict[str, list[tuple[str, str]]] = {}
    for name, content in crew.rows("SELECT external_id, content FROM documents WHERE deleted_at IS NULL"):
        if name in found:
            verdict.duplicated.append(name)
        found[name] = _MARKS.findall(content)
    verdict.lost += sorted(wanted - found.keys())
    _say(verdict, "left although the source no longer has it", found.keys() - wanted)
    whole = {
        name: [(m, end) for m in marks for end in ("begins", "ends")] for name, marks in expected.items()
    }
    different = {name for name in wanted & found.keys() if found[name] != whole[name]}
    _say(verdict, "stored with another content than the source has", different)
    _check_chunks(crew, verdict, whole, wanted & found.keys())
    failing = {n for (n,) in crew.rows("SELECT external_id FROM sync_items WHERE state = 'failed'")}
    _say(verdict, "recorded as failing", failing - stubborn)
    _say(verdict, "failing, and not recorded as such", stubborn - failing)
    _check_runs(crew, verdict, runs, len(faults.hub.removed))
    if faults.tokens.reused:
        verdict.problems.append(f"{faults.tokens.reused} refresh tokens were used twice")
    ((status,),) = crew.rows("SELECT status FROM connectors")
    if status != "connected":
        verdict.problems.append(f"the connector is {status}")
    return verdict


def _check_chunks(
    crew: Crew, verdict: Verdict, whole: dict[str, list[tuple[str, str]]], names: set[str]
) -> None:
    rows = crew.rows(
        "SELECT d.external_id, string_agg(c.text, ' ' ORDER BY c.ordinal), min(c.ordinal), max(c.ordinal),"
        " count(*), min(vector_dims(v.embedding)), max(vector_dims(v.embedding)), count(DISTINCT v.embedding_model)"
        " FROM documents AS d JOIN chunks AS c ON c.document_id = d.id LEFT JOIN chunk_vectors AS v ON v.chunk_id = c.id"
        " WHERE d.deleted_at IS NULL GROUP BY d.tenant_id, d.id"
    )
    dimensions = {size for row in rows for size in row[5:7]}
    if len(dimensions) > 1:
        verdict.problems.append(f"vectors have {dimensions} dimensions")
    # Passages may overlap, so a mark may come twice; none may be missing, none may be another version's.
    cut = {row[0] for row in rows if set(_MARKS.findall(row[1])) != set(whole.get(row[0], []))}
    broken = {row[0] for row in rows if (row[2], row[3] + 1) != (0, row[4]) or row[7] != 1}
    _say(verdict, "stored without its passages", names - {row[0] for row in rows})
    _say(verdict, "stored with passages that do not hold its text", (cut | broken) & names)
    ((orphans,),) = crew.rows(
        "SELECT count(*) FROM chunks AS c WHERE NOT EXISTS (SELECT FROM documents AS d WHERE d.id = c.document_id)"
    )
    if orphans:
        verdict.problems.append(f"{orphans} passages belong to no document")


def _check_runs(crew: Crew, verdict: Verdict, runs: Sequence[UUID], removed: int) -> None:
    rows = crew.rows(
        "SELECT r.id, r.state, processed_count, stored_count, unchanged_count, failed_count, found_count,"
        " (SELECT count(*) FROM sync_errors AS e WHERE e.run_id = r.id), r.finished_at IS NOT NULL, j.state, r.error"
        " FROM sync_runs AS r LEFT JOIN jobs AS j ON j.id = r.job_id ORDER BY r.created_at"
    )
    if [row[0] for row in rows] != list(runs):
        verdict.problems.append(f"there are {len(rows)} runs, {len(runs)} were asked for")
    for number, (_, state, processed, *counts, found, errors, is_over, job, error) in enumerate(rows, 1):
        if state not in ("completed", "completed_with_errors") or not is_over:
            verdict.problems.append(f"run {number} is {state}: {error}")
        if job != "succeeded":
            verdict.problems.append(f"the job of run {number} is {job}")
        if sum(counts) != processed or found < processed or errors != counts[-1]:
            verdict.problems.append(
                f"run {number} does not add up: {processed} of {found}: {counts}, {errors} errors"
            )
    if rows and not verdict.items - removed <= rows[0][2] <= verdict.items + removed:
        verdict.problems.append(f"the first run counted {rows[0][2]} items of {verdict.items}")


def _say(verdict: Verdict, words: str, names: "set[str]") -> None:
    if names:
        verdict.problems.append(f"{len(names)} {words}, such as {min(names)}")
