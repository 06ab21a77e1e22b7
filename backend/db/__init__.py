"""Knows Postgres, knows no room.

`base` declares how tables look, `engine` opens connections as the least privileged role, `transaction` is the
unit of work that carries the tenant, `statement` one that is a single statement and takes one round trip (through
`pipeline`), `halves` many vectors as one value of a statement, `notify` and `listen` move hints between processes, `isolation` writes
row level security into migrations, `embedded` runs the bundled server.
"""
