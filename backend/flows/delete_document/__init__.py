"""A document is taken out of search, and what only it said out of the graph, in one transaction."""
