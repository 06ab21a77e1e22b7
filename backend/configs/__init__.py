"""What may change while processes run: versions of named settings, per workspace and for the installation.

    (nothing) ──► 1 ──► 2 ──► 3 …         publish, restore and withdraw each append; no version is ever changed

Each name has a schema (`schemas.py`), and a version is a whole: it says every setting, so a default that changes
with the product changes no published version. What counts for a workspace is its own newest version; if it has
none, or its newest has no settings (it was withdrawn), the installation's newest; if there is none, the defaults.

Two tables, because different people write them: `config_versions` is a tenant's and behind row level security,
`installation_config_versions` is read by everybody and written by the operator role alone. One table would need
rows without a tenant, and with them an exception in the policy that keeps tenants apart.

Every version also has a `revision`, one count for both tables that grows in the order of commits. So "has this
process seen it yet?" is one comparison, and what a process has not seen is one range, however many workspaces
there are (`follower.py`).

    SELECT name, version, settings, note, created_at FROM config_versions ORDER BY revision DESC;

or, across tenants: SELECT * FROM ops.config_versions; which process runs what: SELECT * FROM ops.instances;
"""
