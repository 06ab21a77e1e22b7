"""What syncs have done: each run with how it came to its state, and the items that cannot be taken now."""
