"""The services that can be synced, one folder each.

`contract.py` says what a source must be able to do, `provider.py` what the product knows of a provider; nothing
outside a provider's folder knows more than that. `conversation.py` is how most of them talk to their API,
`code_grant.py` how their accounts are connected, `file_types.py` which files of a file store are documents.

A provider is added in three steps:

1. A folder named after it: `__init__.py` with its `PROVIDER` (and what it asks people to choose, its
   `settings_model`), `source.py` with a `Source` (loaded by workers only), and `oauth.py` with an `OAuthProvider` if
   accounts are connected.
2. Its name in `catalogue.PROVIDER_MODULES`.
3. `tests/connectors/test_<name>_provider.py`, run over real HTTP: against an emulator (`tests/emulators/`), or
   against a recorded exchange, written from the provider's published description of its API.
"""
