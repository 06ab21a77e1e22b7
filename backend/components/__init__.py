"""Components: things computed from all of a tenant's knowledge, kept so that no process computes them again.

A component has a name and a version, which grows when its content changes; the content is compressed JSON, in a row
that never changes. Missing, then claimed by one process, which builds it; then fresh; then stale after a while, when
one process builds it anew and all others go on with the old one. What is deleted is built again by whoever asks next.

`cache` is how processes use it, with copies in memory; `lexicon` (a tenant's lexemes and acronyms) and
`vocabulary` (its words) are components.

    SELECT name, version, built_at, refresh_at, building_by FROM tenant_components;
"""
