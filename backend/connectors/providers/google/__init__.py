"""What Gmail and Google Drive share: connecting an account (`oauth.py`) and how Google's APIs answer (`api.py`).

No provider by itself: it has no line in `catalogue.PROVIDER_MODULES`.
"""
