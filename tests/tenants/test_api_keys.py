"""/api/auth/api-keys, and what a key opens at any instance."""

import re
from typing import Any
from uuid import UUID

import pytest

from backend.app import create_app
from backend.tenants.api_keys.repository import MOST_KEYS
from backend.web import SESSION_COOKIE
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, Person, problem


def make(at: Instance, person: Person, *scopes: str, **more: Any) -> dict[str, Any]:
    return at.ok(
        "POST", "/api/auth/api-keys", person, json={"name": "a program", "scopes": scopes or ["read"], **more}
    )


def use(at: Instance, key: str, method: str = "GET", path: str = "/api/auth/me", **more: Any) -> Any:
    return at.call(method, path, headers={"Authorization": f"Bearer {key}"}, **more)


def change(database: TestDatabase, statement: str, *values: object) -> None:
    with database.admin() as connection:
        connection.execute(statement.encode(), values)


def test_key_acts_for_its_maker_at_every_instance(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    made = make(web, person)
    key, view = made["key"], made["api_key"]
    assert re.fullmatch(r"sbk_[0-9a-f]{32}_[A-Za-z0-9_-]{64}", key)
    assert key.startswith(view["prefix"])
    assert (view["scopes"], view["expires_at"], view["revoked_at"]) == (["read"], None, None)
    for at in (web, web2):
        assert use(at, key).get_json()["user"]["id"] == str(person.user_id)
        assert use(at, key, path="/api/documents").status_code == 200


def test_key_is_shown_once_and_kept_as_a_hash(web: Instance, web2: Instance, database: TestDatabase) -> None:
    person = web.sign_in()
    made = make(web, person)
    listed = web2.call("GET", "/api/auth/api-keys", person).text
    assert made["api_key"]["prefix"] in listed
    assert made["key"] not in listed
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT k::text, secret_sha256 FROM api_keys AS k WHERE tenant_id = %s", (person.tenant_id,)
        ).fetchall()
    assert len(rows) == 1
    assert made["key"].rpartition("_")[2] not in str(rows)


def test_revoked_key_is_dead_everywhere_with_the_next_request(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    made = make(web, person)
    assert use(web2, made["key"]).status_code == 200
    path = f"/api/auth/api-keys/{made['api_key']['id']}"
    for _ in range(2):
        web.ok("DELETE", path, person)
        for at in (web, web2):
            problem(use(at, made["key"]), 401, "API_KEY_INVALID")
    (view,) = web2.ok("GET", "/api/auth/api-keys", person)["api_keys"]
    assert view["revoked_at"]


@pytest.mark.parametrize(
    ("away", "back"),
    [
        (
            "UPDATE users SET deactivated_at = now() WHERE id = %s",
            "UPDATE users SET deactivated_at = NULL WHERE id = %s",
        ),
        (
            "UPDATE tenants SET deactivated_at = now() WHERE id = (SELECT tenant_id FROM users WHERE id = %s)",
            "UPDATE tenants SET deactivated_at = NULL WHERE id = (SELECT tenant_id FROM users WHERE id = %s)",
        ),
        (
            "UPDATE api_keys SET expires_at = now() WHERE user_id = %s",
            "UPDATE api_keys SET expires_at = now() + interval '1 hour' WHERE user_id = %s",
        ),
    ],
    ids=["user deactivated", "tenant deactivated", "expired"],
)
def test_key_counts_only_while_it_and_its_people_do(
    web: Instance, web2: Instance, database: TestDatabase, away: str, back: str
) -> None:
    person = web.sign_in()
    key = make(web, person)["key"]
    assert use(web2, key).status_code == 200
    change(database, away, person.user_id)
    problem(use(web2, key), 401, "API_KEY_INVALID")
    change(database, back, person.user_id)
    assert use(web2, key).status_code == 200


def test_expiry_is_set_in_days(web: Instance, database: TestDatabase) -> None:
    person = web.sign_in()
    make(web, person, expires_in_days=30)
    with database.admin() as connection:
        assert connection.execute(
            "SELECT expires_at = created_at + interval '30 days' FROM api_keys WHERE user_id = %s",
            (person.user_id,),
        ).fetchone() == (True,)
    for days in (0, -1, 100_000):
        body = {"name": "a program", "expires_in_days": days}
        problem(web.call("POST", "/api/auth/api-keys", person, json=body), 400, "VALIDATION_ERROR")


def test_scopes_decide_what_a_key_may_do(web: Instance) -> None:
    """Nothing of it depends on what is there: scopes are looked at before the route runs."""
    person = web.sign_in()
    keys = {scope: make(web, person, scope)["key"] for scope in ("read", "write", "admin")}
    search, sync, disconnect = (
        "/api/search",
        "/api/integrations/github/sync",
        "/api/integrations/github/disconnect",
    )
    question = {"query": "lighthouse"}
    assert use(web, keys["read"], "POST", search, json=question).status_code == 200
    problem(use(web, keys["read"], "POST", sync), 403, "SCOPE_MISSING")
    problem(use(web, keys["write"]), 403, "SCOPE_MISSING")
    problem(use(web, keys["write"], "POST", search, json=question), 403, "SCOPE_MISSING")
    assert use(web, keys["write"], "POST", sync).get_json()["error_code"] == "NOT_CONNECTED"
    problem(use(web, keys["admin"], "POST", disconnect), 403, "SCOPE_MISSING")
    problem(use(web, keys["write"], "POST", disconnect), 403, "ADMINISTRATORS_ONLY")
    both = make(web, person, "write", "admin")["key"]
    assert use(web, both, "POST", disconnect).status_code == 200


def test_key_cannot_do_more_than_its_maker(web: Instance, database: TestDatabase) -> None:
    admin = web.sign_in()
    for role, allowed, beyond in (("member", "write", "admin"), ("viewer", "read", "write")):
        person = web.colleague(admin, role=role)
        make(web, person, "read", allowed)
        body = {"name": "a program", "scopes": ["read", beyond]}
        problem(web.call("POST", "/api/auth/api-keys", person, json=body), 403, "SCOPE_BEYOND_ROLE")
    key = make(web, admin, "write", "admin")["key"]
    change(database, "UPDATE users SET role = 'member' WHERE id = %s", admin.user_id)
    problem(use(web, key, "POST", "/api/integrations/github/disconnect"), 403, "ADMINISTRATORS_ONLY")


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "x" * 101}, {"name": "ok", "scopes": []}, {"name": "ok", "scopes": ["root"]}],
)
def test_key_that_makes_no_sense_is_refused(web: Instance, body: dict[str, Any]) -> None:
    problem(web.call("POST", "/api/auth/api-keys", web.sign_in(), json=body), 400, "VALIDATION_ERROR")


def test_key_manages_neither_sessions_nor_keys(web: Instance) -> None:
    person = web.sign_in()
    made = make(web, person, "read", "write", "admin")
    tried = []
    for rule in create_app(web.services).url_map.iter_rules():
        view: Any = web.app.view_functions[rule.endpoint]
        if getattr(view, "session_only", False):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                values = dict.fromkeys(rule.arguments, made["api_key"]["id"])
                path = web.app.url_map.bind("localhost").build(rule.endpoint, values, method=method)
                problem(use(web, made["key"], method, path, json={"name": "more"}), 403, "SESSION_NEEDED")
                tried.append(f"{method} {rule.rule}")
    assert sorted(tried) == [
        "DELETE /api/auth/api-keys/<key_id>",
        "DELETE /api/auth/sessions/<session_id>",
        "GET /api/auth/api-keys",
        "GET /api/auth/sessions",
        "GET /api/desk",
        "GET /api/desk/ask",
        "GET /api/desk/files",
        "GET /api/desk/open",
        "POST /api/auth/api-keys",
        "POST /api/auth/logout-all",
        "POST /api/desk/feedback",
        "POST /api/desk/files",
        "POST /api/desk/sign-out",
    ]


def test_key_is_no_session(web: Instance) -> None:
    """No cookie is made from it, none is accepted, and logging out with it ends nothing."""
    person = web.sign_in()
    key = make(web, person)["key"]
    assert "Set-Cookie" not in use(web, key).headers
    browser = web.browser()
    browser.set_cookie(SESSION_COOKIE, key, path="/api")
    assert browser.get(f"/api/document/{UUID(int=1)}/view").status_code == 401
    assert use(web, key, "POST", "/api/auth/logout").status_code == 200
    assert use(web, key).status_code == 200
    assert web.call("GET", "/api/auth/me", person).status_code == 200


def test_keys_of_others_are_out_of_reach(web: Instance) -> None:
    admin = web.sign_in()
    member, stranger = web.colleague(admin, role="member"), web.sign_in()
    of_admin, of_member = make(web, admin), make(web, member)
    for who in (member, stranger):
        path = f"/api/auth/api-keys/{of_admin['api_key']['id']}"
        problem(web.call("DELETE", path, who), 404, "API_KEY_NOT_FOUND")
    everybody = "/api/auth/api-keys?everybody=true"
    assert [k["email"] for k in web.ok("GET", everybody, member)["api_keys"]] == [member.account.email]
    assert web.ok("GET", everybody, stranger)["api_keys"] == []
    assert {k["email"] for k in web.ok("GET", everybody, admin)["api_keys"]} == {
        admin.account.email,
        member.account.email,
    }
    assert len(web.ok("GET", "/api/auth/api-keys", admin)["api_keys"]) == 1
    web.ok("DELETE", f"/api/auth/api-keys/{of_member['api_key']['id']}", admin)
    problem(use(web, of_member["key"]), 401, "API_KEY_INVALID")
    assert use(web, of_admin["key"]).status_code == 200


def test_altered_key_opens_nothing(web: Instance) -> None:
    one, other = make(web, web.sign_in())["key"], make(web, web.sign_in())["key"]
    head, secret = one[:36], one[37:]
    altered = [
        "sbk_",
        "sbk__",
        head,
        f"{head}_",
        f"{head}_{secret[:-1]}",
        f"{head}_{secret[:-4]}AAAA",
        f"{head}_{secret}A",
        f"{other[:37]}{secret}",
        f"sbk_{head[4:].upper()}_{secret}",
        f"sbk_{UUID(head[4:36])}_{secret}",
        f"{one}\N{SNOWMAN}".encode().decode("latin-1"),
    ]
    for key in altered:
        assert key != one
        problem(use(web, key), 401, "API_KEY_INVALID")


def test_number_of_keys_in_use_is_limited(web: Instance, database: TestDatabase) -> None:
    person = web.sign_in()
    change(
        database,
        "INSERT INTO api_keys (tenant_id, user_id, name, secret_sha256, scopes)"
        " SELECT %s, %s, 'one of many', sha256(n::text::bytea), '{read}' FROM generate_series(1, %s) AS n",
        person.tenant_id,
        person.user_id,
        MOST_KEYS,
    )
    body = {"name": "one too many"}
    problem(web.call("POST", "/api/auth/api-keys", person, json=body), 409, "TOO_MANY_API_KEYS")
    change(database, "UPDATE api_keys SET revoked_at = now() WHERE user_id = %s", person.user_id)
    assert web.call("POST", "/api/auth/api-keys", person, json=body).status_code == 201


def test_use_is_noted_to_some_minutes(web: Instance, database: TestDatabase) -> None:
    person = web.sign_in()
    key = make(web, person)["key"]

    def seen() -> object:
        with database.admin() as connection:
            row = connection.execute(
                "SELECT last_used_at FROM api_keys WHERE user_id = %s", (person.user_id,)
            ).fetchone()
        assert row is not None
        return row[0]

    assert seen() is None
    use(web, key)
    first = seen()
    assert first is not None
    use(web, key)
    assert seen() == first
    change(
        database,
        "UPDATE api_keys SET last_used_at = now() - interval '6 min' WHERE user_id = %s",
        person.user_id,
    )
    use(web, key)
    assert seen() > first  # type: ignore[operator]


def test_view_shows_states_and_no_hash(web: Instance, database: TestDatabase) -> None:
    person = web.sign_in()
    for name in ("active", "expired", "revoked"):
        make(web, person, name=name)
    change(
        database,
        "UPDATE api_keys SET expires_at = now() WHERE name = 'expired' AND user_id = %s",
        person.user_id,
    )
    change(
        database,
        "UPDATE api_keys SET revoked_at = now() WHERE name = 'revoked' AND user_id = %s",
        person.user_id,
    )
    with database.admin() as connection:
        connection.execute("SET ROLE secondbrain_readonly")
        cursor = connection.execute("SELECT * FROM ops.api_keys WHERE email = %s", (person.account.email,))
        rows = cursor.fetchall()
        columns = [column.name for column in cursor.description or ()]
    assert not [name for name in columns if "sha" in name or "secret" in name]
    assert {row[columns.index("name")]: row[columns.index("state")] for row in rows} == {
        "active": "active",
        "expired": "expired",
        "revoked": "revoked",
    }
