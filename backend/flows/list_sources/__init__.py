"""Every source a workspace has or could have, with the state of its connection, its syncs and its documents."""
