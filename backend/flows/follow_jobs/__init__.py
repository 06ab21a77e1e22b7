"""A person follows a job of their workspace, and stops it; what it means to a sync or an upload goes with it."""
