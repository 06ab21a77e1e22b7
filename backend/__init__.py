"""Second Brain: the knowledge backend that needs nothing but Postgres.

Every piece of shared state is a row in Postgres. Web and worker processes hold none, so any number of them can
be started, killed and replaced at any moment. A folder is a piece of state; start with its `__init__.py`.

    app.py         the web application: routes, who may call them, how errors are answered
    admission.py   what every request passes: scopes of API keys, rate limits, idempotency keys
    marks.py       what a route says of itself: who may call it, and how
    web.py         what every route shares
    wiring.py      builds what a process needs from its settings and hands it down
    inference.py   the models it asks: for vectors, written answers, the order of passages
    serve.py       one web instance (gunicorn's gevent worker)
    work.py        one worker process
    cli.py         the `secondbrain` command: processes.py starts those two, commands.py does all else
    administration.py  its groups: tenant, user, keys
    syncing.py     its commands about sources: connectors, sync
    up.py          the bundled server, three web instances and a worker on one machine
    bundled.py     where the database is: DATABASE_URL's, or the bundled server
    supervisor.py  keeps child processes running and leaves none behind (with lifeline.py and ports.py)
    settings.py    the only reader of the environment
    keyring.py     signs, verifies, seals and derives, by purpose and key id
    pages.py       how the few pages of HTML look
    errors.py      the kinds of things that go wrong
    lru.py         a store in memory, bounded in bytes, for copies
    logs.py        how log lines look
    scratch.py     a temporary folder of our own
    rooms.py       the list of rooms

    outside/       reads any address a person names, and no private one
    db/            knows Postgres, knows no room: transactions, hints, row level security, the bundled server
    rooms, each `__init__`, `models`, `repository`, and `routes` where it has an API of its own:
    tenants/       tenants, users, sessions, api_keys  who is asking; the one room others may import
    oauth/         oauth_nonces                      issue, begin, consume (once), purge: the model of a room
    connectors/    connectors, credentials (sealed)  providers/ read the sources; removals, channels, deliveries
    jobs/          jobs, workers, schedules          enqueue, claim, hold, complete, fail, release_stalled
    keys/          signing_keys (sealed)             make the first, rotate, replace at once; follower.py signs
    sync/          sync_runs, sync_errors            how far a sync is; stream.py follows it
    documents/     documents, chunks, uploads        parsing/ and chunking.py turn bytes into passages; vectors/
    configs/       config_versions                   publish, withdraw, history, restore; follower.py holds copies
    ops/           instances                         which processes run, and how far they follow
    limits/        rate_limits, idempotency_keys     take, give back; claim, answer (once), release
    knowledge/     entity_aliases, graph_*           record, replace, forget, neighbours; who is related to what
    embeddings/    embedding_cache, serving_models   text to vectors: local, or any OpenAI-compatible server
    components/    tenant_components (BYTEA)         built once for all processes: lexicon.py, vocabulary.py
    chats/         chats, chat_messages              each person's own conversations
    searches/      searches, feedback                what was asked, and how it went
    search/        the hybrid query, answers; indexes/ of large tenants' vectors
    flows/         the product's verbs; each may use several rooms in one transaction

Directions, kept by tests/architecture: app -> flows -> rooms -> tenants -> db -> errors, and inside a room
routes -> repository -> models. A room never imports another room; work across rooms is a flow.

A room is added with its folder, one migration, tests/<room>/ and one line in rooms.py; the guard tests say what
is missing.
"""

__version__ = "0.1.0"
