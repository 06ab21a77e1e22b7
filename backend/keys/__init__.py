"""The keys that sign what lives for hours: access tokens, OAuth states, names of streams. Rotated while all runs.

    published ──► signing ──► accepted (a newer one signs) ──► retired ──► purged
                     └──────────── compromised ──────────────────▲

A row is a key for all purposes (`keyring.py` derives one for each), sealed with the master keys of SECRET_KEYS, which
also seal what lives long. States follow from times, judged by the database's clock: a key is published some minutes
before it signs, so every process knows it first, and accepted as long as anything it signed may live. One that has
leaked is retired at once and with it everything it signed. The first key is made by whichever process first asks;
until it signs, and as long as it is accepted, so is what SECRET_KEYS itself signed before there were rows.

Every process holds a copy of the set that is never older than `SigningKeyring.FRESH_SECONDS` (follower.py).

    SELECT kid, created_at, active_from, retires_at, retired_because, made_by FROM signing_keys ORDER BY created_at;

or, with a state in words: SELECT * FROM ops.signing_keys;
"""
