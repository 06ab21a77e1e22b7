"""The services an account can be connected to, one folder each.

`contract.py` says what a provider must be able to do; nothing outside a provider's folder knows more than
that.

A provider is added in three steps:

1. A folder named after it: `oauth.py` (an `OAuthProvider`, loaded by web processes, so it imports little) and
   `source.py` (a `Source`, loaded by workers only).
2. Its name in `PROVIDERS`, and the line that builds it where providers are wired.
3. `tests/connectors/test_<name>_provider.py`, run against an emulator over real HTTP (`tests/emulators/`).
"""

from typing import Final

#: Names of the providers that have code here; the name is also the `type` of their connectors.
PROVIDERS: Final = ("github",)
