"""A folder of files becomes documents, in the caller's own process; again, and only what changed is read."""
