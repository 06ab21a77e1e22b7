"""Documents as people look through them: filtered, sorted, page by page, and counted."""
