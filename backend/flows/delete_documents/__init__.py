"""Documents are taken out of search, what only they said out of the graph, their files away, in one transaction."""
