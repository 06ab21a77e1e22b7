"""How often somebody may ask, and what a repeated request is answered: counters and answers all instances share.

    rate_limits        full ──► drained by requests, refilled by time ──► full again (as good as no row; purged)

    idempotency_keys   running ──► answered (replayed for a day) ──► purged
                          │
                          ├──► released (a 5xx, a stream: the next one runs)
                          └──► stalled (its process died: after the lease the next one takes it over)

A limit is a token bucket in one row; `rules.py` says which requests draw on which buckets. Guessing a password
draws on two: one for the account from this address, which is small, and one for the account from anywhere, which
is generous. A stranger who guesses empties the first one for himself only; to empty the second one, and with it
keep the owner out for a while, he needs many addresses, each slowed down already.

An `Idempotency-Key` makes one request of many equal ones. The row names a lease that only grows, so an answer
that comes too late, after somebody else took over, is not stored. Answers are sealed: they hold what their routes
show, and a database dump must not.

    SELECT rule, subject, full_at, refused_count, refused_at FROM rate_limits ORDER BY refused_at DESC NULLS LAST;

or with tokens left, and keys by state: SELECT * FROM ops.rate_limits; SELECT * FROM ops.idempotency_keys;
"""
