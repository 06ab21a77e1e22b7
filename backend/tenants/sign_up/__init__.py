"""Making a workspace with its first user: what the API and the page for it share, and the page."""
