"""What is to be synced from a source: what there is to choose from, and what somebody chose.

Settings are validated by the provider's own model and never hold a secret. Changing them begins a pass over everything:
what is the same is not read again, what is no longer chosen goes after two passes have not shown it.
"""
