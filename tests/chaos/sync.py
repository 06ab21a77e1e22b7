"""`scripts/chaos sync`: one sync through faults, and whether everything is there once, right, and by the right hands."""

import argparse
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.bench.report import Report, Row
from tests.chaos import audit, plan, verdict
from tests.chaos.crew import Crew, crew
from tests.chaos.faults import Faults
from tests.chaos.hub import Hub
from tests.chaos.storm import Storm
from tests.chaos.tokens import Tokens
from tests.e2e.conftest import Client, eventually
from tests.emulators.scripted import scripted_server

_RUN_SECONDS = 600.0
_LATENCY_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed's run: a row a fault and one over all, what must not be, and what the run itself says."""

    seed: int
    rows: Sequence[Row]
    problems: Sequence[str]
    story: Sequence[str]
    seconds: float
    ended: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    parser.add_argument("--seed", type=int, default=1, help="what happens when (default 1)")
    parser.add_argument("--seeds", type=_seeds, metavar="FIRST-LAST", help="several in a row, as in 1-10")
    parser.add_argument("--items", type=int, default=2000, help="items of the source (default 2000)")


def run(args: argparse.Namespace) -> tuple[Report, bool]:
    """Runs the seeds one after another; (what was seen, whether all was well)."""
    outcomes = []
    for seed in args.seeds or (args.seed,):
        outcome = weather(seed, items=args.items, kinds=plan.FULL)
        outcomes.append(outcome)
        print(f"seed {seed}: {outcome.ended} after {outcome.seconds:.0f} s")  # noqa: T201
        for line in outcome.story if len(outcomes) == 1 else ():
            print(f"  {line}")  # noqa: T201
        for problem in outcome.problems:
            print(f"  WRONG: {problem}")  # noqa: T201
    rows = [{"seed": outcome.seed, **row} for outcome in outcomes for row in outcome.rows]
    problems = [f"seed {outcome.seed}: {problem}" for outcome in outcomes for problem in outcome.problems]
    notes = [*problems, *_by_seed(outcomes), "", *_by_fault(rows)]
    return Report(f"A sync of {args.items} items through faults", rows, notes), not problems


def weather(
    seed: int,
    *,
    items: int,
    kinds: Mapping[str, int],
    repositories: int | None = None,
    refusal: int | None = None,
) -> Outcome:
    """One sync of `items` through as many faults as `kinds` says."""
    began_at = time.monotonic()
    chance = random.Random(f"sync {seed}")
    hub = Hub(items=items, seed=seed, repositories=repositories or max(3, items // 60))
    tokens = Tokens()
    faults = Faults(hub, tokens, latency=_LATENCY_SECONDS, refusal=refusal or chance.choice((422, 451, 500)))
    with (
        scripted_server(faults.answer) as server,
        crew(server.base_url, tokens.authorize, workers=3) as (hands, client, _),
    ):
        audit.install(hands)
        first = _start(hands, client)
        with Storm(hands, faults, first) as storm:
            rows = [row for fault in plan.make_plan(seed, kinds) if (row := _through(storm, fault, items))]
            _wait_until_over(storm)
        faults.end()
        # A run later: what failed is tried again by then.
        hands.rows("UPDATE sync_items SET retry_at = now() WHERE retry_at IS NOT NULL RETURNING 1")
        second = _start(hands, client)
        with Storm(hands, faults, second) as calm:
            _wait_until_over(calm)
        judged = verdict.judge(hands, faults, (first, second))
        writes, stale = audit.count_writes(hands)
        problems = [*storm.problems, *calm.problems, *judged.problems, *audit.stale_writes(hands)]
        problems += [f"lost: {name}" for name in judged.lost] + [
            f"twice: {name}" for name in judged.duplicated
        ]
        problems += [f"no progress after: {row['fault']}" for row in rows if row["recovered_s"] is None]
        if not writes:
            problems.append("no write was looked at")
        struck = sum(kinds.values())
        if len(rows) < struck:
            problems.append(f"only {len(rows)} of {struck} faults came before the run was over")
        story = _story(hands)
        ended = str(hands.rows("SELECT state FROM sync_runs WHERE id = %s", first)[0][0])
    over_all: Row = {
        "fault": "all",
        "items": judged.items,
        "lost": len(judged.lost),
        "duplicated": len(judged.duplicated),
        "stale_writes": stale,
        "recovered_s": max((float(row["recovered_s"] or 0) for row in rows), default=0.0),
    }
    story.append(
        f"{writes} writes of workers looked at, {stale} of them stale; tokens renewed {tokens.renewed} times"
    )
    return Outcome(seed, [*rows, over_all], problems, story, time.monotonic() - began_at, ended)


def _start(hands: Crew, client: Client) -> UUID:
    client.ok("POST", "/api/integrations/github/sync")
    ((run_id,),) = hands.rows("SELECT id FROM sync_runs ORDER BY created_at DESC LIMIT 1")
    return UUID(str(run_id))


def _through(storm: Storm, fault: plan.Fault, items: int) -> Row | None:
    """One fault, from its moment until the sync has gone on; None when the run is over before."""
    eventually(
        lambda: storm.faults.read_count >= fault.share * items or storm.is_finished(),
        f"item {fault.share * items:.0f} to be read, for: {fault.kind}",
        _RUN_SECONDS,
    )
    if storm.is_finished():
        return None
    done = int(storm.progress()[0])
    stored, _, _ = verdict.look(storm.crew)
    stale = audit.count_writes(storm.crew)[1]
    storm.strike(fault)
    recovered = storm.recovered_after()
    stored_now, missing, twice = verdict.look(storm.crew)
    return {
        "fault": fault.kind,
        "items": done,
        "lost": missing + len(stored - stored_now - storm.faults.hub.removed),
        "duplicated": twice,
        "stale_writes": audit.count_writes(storm.crew)[1] - stale,
        "recovered_s": None if recovered is None else round(recovered, 2),
    }


def _wait_until_over(storm: Storm) -> None:
    eventually(storm.is_finished, f"run {storm.run_id} to be over", _RUN_SECONDS)


def _story(hands: Crew) -> list[str]:
    """What the runs say of themselves."""
    lines = []
    for run_id, state, *counts in hands.rows(
        "SELECT id, state, found_count, stored_count, unchanged_count, failed_count, deleted_count FROM sync_runs"
        " ORDER BY created_at"
    ):
        found, stored, unchanged, failed, deleted = counts
        lines.append(
            f"run {run_id}: {state}; found {found}, stored {stored}, unchanged {unchanged}, failed {failed},"
            f" deleted {deleted}"
        )
        lines += [
            f"  {at:%H:%M:%S}  {now:<22} {actor}{f': {reason}' if reason else ''}"
            for at, now, actor, reason in hands.rows(
                "SELECT t.created_at, t.state, CASE WHEN t.actor LIKE 'worker %%' THEN coalesce((SELECT w.name FROM"
                " workers AS w WHERE t.actor = 'worker ' || w.id), t.actor) ELSE t.actor END, t.reason"
                " FROM sync_transitions AS t WHERE run_id = %s ORDER BY seq",
                run_id,
            )
        ]
    return lines


def _by_seed(outcomes: Sequence[Outcome]) -> list[str]:
    head = [
        "seed",
        "items",
        "faults",
        "lost",
        "duplicated",
        "stale_writes",
        "longest recovered_s",
        "ended",
        "seconds",
    ]
    body = []
    for outcome in outcomes:
        last = outcome.rows[-1]
        counts = [
            last["items"],
            len(outcome.rows) - 1,
            last["lost"],
            last["duplicated"],
            last["stale_writes"],
        ]
        longest = f"{float(last['recovered_s'] or 0):.1f}"
        body.append([outcome.seed, *counts, longest, outcome.ended, f"{outcome.seconds:.0f}"])
    return _markdown(head, body)


def _by_fault(rows: Sequence[Row]) -> list[str]:
    body = []
    for kind in dict.fromkeys(row["fault"] for row in rows if row["fault"] != "all"):
        of_kind = [row for row in rows if row["fault"] == kind]
        sums = [
            sum(int(row[name] or 0) for row in of_kind) for name in ("lost", "duplicated", "stale_writes")
        ]
        seconds = [float(row["recovered_s"]) for row in of_kind if row["recovered_s"] is not None]
        median, longest = (statistics.median(seconds), max(seconds)) if seconds else (0.0, 0.0)
        body.append([kind, len(of_kind), *sums, f"{median:.1f}", f"{longest:.1f}"])
    body.sort(key=lambda cells: str(cells[0]))
    return _markdown(
        ["fault", "times", "lost", "duplicated", "stale_writes", "median recovered_s", "longest"], body
    )


def _markdown(head: Sequence[object], body: Sequence[Sequence[object]]) -> list[str]:
    rows = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(map(str, cells))} |" for cells in rows]


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
