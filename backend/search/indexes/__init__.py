"""Indexes over the vectors of large tenants: one for each such tenant and model, and none for the others.

Comparing all vectors of a small tenant is exact and takes milliseconds. A large tenant's are found through an index
over its own vectors only, so that it gives nobody else anything to wait for, neither in searches nor in writes.

Making an index takes the rights of the tables' owner, which no serving process has: `secondbrain index` does it, from
an operator's timer, and `secondbrain up` by itself. Without it every search is exact, and slower the larger a tenant is.

    SELECT * FROM ops.vector_indexes;
"""
