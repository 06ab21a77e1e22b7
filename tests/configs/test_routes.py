"""/api/admin/config on two instances: who may, If-Match, problems."""

from typing import Any

import pytest

from tests.tenants.instances import Instance, problem

PARSER = "/api/admin/config/parser"


def put(settings: dict[str, Any], match: str | None) -> dict[str, Any]:
    return {"json": {"settings": settings}, "headers": {"If-Match": match} if match else {}}


def test_put_on_one_instance_is_read_on_another(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    before = web.call("GET", PARSER, person)
    assert before.headers["ETag"] == '"0"'
    assert before.get_json()["config"]["origin"] == "default"
    stored = web.call("PUT", PARSER, person, **put({"chunk_characters": 500}, before.headers["ETag"]))
    assert stored.headers["ETag"] == '"1"'
    read = web2.call("GET", PARSER, person)
    assert read.headers["ETag"] == '"1"'
    assert read.get_json() == stored.get_json()
    assert read.get_json()["config"]["settings"]["chunk_characters"] == 500
    assert read.get_json()["config"]["settings"]["max_bytes"] == 32 * 1024 * 1024


def test_put_of_what_was_read_too_long_ago_is_refused(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    web.ok("PUT", PARSER, person, **put({"chunk_characters": 500}, '"0"'))
    body = problem(
        web2.call("PUT", PARSER, person, **put({"chunk_characters": 600}, '"0"')), 412, "CONFIG_CHANGED"
    )
    assert (body["expected_version"], body["current_version"]) == (0, 1)
    # A proxy that compresses makes the tag weak.
    web2.ok("PUT", PARSER, person, **put({"chunk_characters": 600}, 'W/"1"'))
    web.ok("PUT", PARSER, person, **put({"chunk_characters": 700}, "*"))
    assert web.ok("GET", PARSER, person)["config"]["version"] == 3


@pytest.mark.parametrize("match", [None, "1", '"one"', '"0", "1"', '"99999999999999999999"'])
def test_change_without_a_version_is_refused(web: Instance, match: str | None) -> None:
    person = web.sign_in()
    problem(web.call("PUT", PARSER, person, **put({}, match)), 400, "VERSION_NOT_NAMED")
    headers = {"If-Match": match} if match else {}
    problem(web.call("DELETE", PARSER, person, headers=headers), 400, "VERSION_NOT_NAMED")
    assert web.ok("GET", PARSER, person)["config"]["version"] == 0


def test_put_names_the_field_that_is_wrong(web: Instance) -> None:
    person = web.sign_in()
    body = problem(
        web.call("PUT", PARSER, person, **put({"chunk_characters": 5}, '"0"')), 400, "VALIDATION_ERROR"
    )
    assert body["errors"][0]["field"] == "chunk_characters"
    problem(web.call("PUT", PARSER, person, **put({"ocr": True}, '"0"')), 400, "VALIDATION_ERROR")
    problem(web.call("GET", "/api/admin/config/nothing", person), 404, "CONFIG_UNKNOWN")
    assert web.ok("GET", PARSER, person)["config"]["version"] == 0


def test_history_restore_and_delete(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    web.ok("PUT", PARSER, person, **put({"chunk_characters": 500}, '"0"'))
    web.ok("PUT", PARSER, person, **put({"chunk_characters": 600}, '"1"'))
    restored = web2.ok("POST", f"{PARSER}/restore", person, json={"version": 1}, headers={"If-Match": '"2"'})
    assert restored["config"]["settings"]["chunk_characters"] == 500
    deleted = web.call("DELETE", PARSER, person, headers={"If-Match": '"3"'})
    assert (deleted.status_code, deleted.headers["ETag"]) == (200, '"4"')
    assert deleted.get_json()["config"]["origin"] == "default"
    versions = web2.ok("GET", f"{PARSER}/history", person)["versions"]
    assert [(v["version"], v["note"]) for v in versions] == [
        (4, "withdrawn"),
        (3, "restored from version 1"),
        (2, None),
        (1, None),
    ]
    assert versions[0]["settings"] is None
    assert {v["published_by"] for v in versions} == {str(person.user_id)}
    assert [
        v["version"] for v in web.ok("GET", f"{PARSER}/history?limit=1&before=3", person)["versions"]
    ] == [2]
    problem(
        web.call("POST", f"{PARSER}/restore", person, json={"version": 9}, headers={"If-Match": "*"}),
        404,
        "CONFIG_VERSION_NOT_FOUND",
    )


def test_other_tenants_see_and_change_nothing_of_it(web: Instance) -> None:
    person, stranger = web.sign_in(), web.sign_in()
    web.ok("PUT", PARSER, person, **put({"chunk_characters": 500}, '"0"'))
    assert web.ok("GET", PARSER, stranger)["config"]["version"] == 0
    assert web.ok("GET", f"{PARSER}/history", stranger)["versions"] == []
    web.ok("PUT", PARSER, stranger, **put({"chunk_characters": 700}, '"0"'))
    assert web.ok("GET", PARSER, person)["config"]["settings"]["chunk_characters"] == 500


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_only_administrators_may(web: Instance, role: str) -> None:
    person = web.sign_in()
    colleague = web.colleague(person, role=role)
    for method, path in (
        ("GET", PARSER),
        ("PUT", PARSER),
        ("DELETE", PARSER),
        ("GET", f"{PARSER}/history"),
        ("POST", f"{PARSER}/restore"),
        ("GET", "/api/admin/parser"),
        ("POST", "/api/admin/reload-parser"),
    ):
        body = {"settings": {}, "version": 1}
        more: dict[str, Any] = {} if method in ("GET", "DELETE") else {"json": body}
        answer = web.call(method, path, colleague, headers={"If-Match": "*"}, **more)
        problem(answer, 403, "ADMINISTRATORS_ONLY")
    assert web.ok("GET", PARSER, person)["config"]["version"] == 0
