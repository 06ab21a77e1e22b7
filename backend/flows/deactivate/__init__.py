"""Closing the door on a person or a whole workspace: what they hold stops counting, and what they began is void."""
