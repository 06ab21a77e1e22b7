"""Whatever signs or verifies does so while it holds no connection: it may need one to look at the keys."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.keyring import Keyring
from backend.keys.follower import SigningKeyring
from tests.conftest import TestDatabase
from tests.tenants.instances import PASSWORD, web_instance


def test_no_request_looks_at_the_keys_inside_a_transaction(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "secret"}
    with web_instance(database, "web1", **settings) as web:
        held: list[int] = []
        read = web.services.keyring._read

        def watched() -> Keyring:
            held.append(web.services.db.engine.pool.checkedout())  # type: ignore[attr-defined]
            return read()

        monkeypatch.setattr(web.services.keyring, "_read", watched)
        # Every use reads.
        monkeypatch.setattr(SigningKeyring, "FRESH_SECONDS", 0.0)
        monkeypatch.setattr(SigningKeyring, "GAP_SECONDS", 0.0)
        email = f"{uuid4().hex}@example.org"
        account = {"email": email, "password": PASSWORD}
        browser = web.browser()

        def call(method: str, path: str, **more: Any) -> Any:
            before = len(held)
            answered = browser.open(path, method=method, **more)
            assert answered.status_code < 500, answered.text
            assert len(held) > before, f"{path} does not sign or verify"
            return answered.get_json(silent=True)

        call("POST", "/api/auth/signup", json={**account, "full_name": "Ada"})
        call("POST", "/api/auth/login", json={**account, "password": "wrong"})
        tokens = call("POST", "/api/auth/login", json=account)["tokens"]
        tokens = call("POST", "/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})["tokens"]
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        user = call("GET", "/api/auth/me", headers=headers)["user"]
        tenant_id, user_id = UUID(user["tenant_id"]), UUID(user["id"])
        auth_url = call("GET", "/api/integrations/github/auth", headers=headers)["auth_url"]
        call("GET", auth_url)
        call("GET", "/api/integrations/github/callback?state=x.y.z&code=x")
        with web.services.db.transaction(tenant_id) as session:
            ConnectorRepository(session).connect(
                tenant_id, "github", connected_by=user_id, account_id="1", account_label="octocat"
            )
        name = call("POST", "/api/integrations/github/sync", headers=headers)["sync_id"]
        call("GET", f"/api/sync-progress/{name}", headers=headers)
        call("POST", "/api/auth/logout", headers=headers)
    assert set(held) == {0}
