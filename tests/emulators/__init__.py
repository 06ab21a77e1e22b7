"""Emulators of the services users connect, run as child processes, so tests speak real HTTP and real OAuth.

`github.py` starts the GitHub emulator and fills it with `github_seed.py`; `node.py` finds Node and installs
the npm packages of `package-lock.json` on first use. `npm run lock` in this folder writes the lock file anew.
"""
