"""GitHub: files, issues and pull requests of the chosen repositories, from github.com or GitHub Enterprise.

`oauth.py` connects an account; `source.py` walks it, with `client.py` for requests, `files.py` for which
files are worth reading and `render.py` for issues and pull requests as Markdown. No module imports
`source.py` on the way to `oauth.py`, so a web process never loads the walk.
"""
