"""Pages for people without a client: ask, check each citation with a click, hand files in and see what becomes of them.

Reached at /api/desk with the session cookie of the sign-in page. No script: forms, links, and a page that fetches itself
anew while files are read. What changes anything carries a confirmation that only this session's pages have.
"""
