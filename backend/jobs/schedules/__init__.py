"""Jobs that come again and again: a row per schedule, and one statement's lock per turn.

    put ──► due ──► turn taken (next_run_at moves on, a job is enqueued) ──► due …
     ▲       │
     └ paused, resumed, changed, deleted

Whichever worker looks first takes a turn: it locks the row, moves `next_run_at` on by `every` and some chance from
now, and enqueues the job, in one transaction. So a turn is taken once, whoever dies meanwhile, and turns missed while
no worker lived are one turn afterwards, not a burst. While a schedule's last job is unfinished its turns pass by.

A turn says what a job says, `kind` and `args`, and no more: what it means is the handler's of that kind.

    SELECT name, kind, every, next_run_at, paused_at, last_run_at, skipped_because FROM schedules ORDER BY next_run_at;
"""
