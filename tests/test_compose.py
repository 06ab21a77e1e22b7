"""docker-compose.yml and .env.example, read as data: no engine is needed to see that they fit the code."""

import re
import tomllib
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml
from pydantic import SecretStr

from backend.app import create_app
from backend.commands import app as cli
from backend.db.engine import APP_ROLE, OWNER_ROLE
from backend.db.provision import MIN_PGVECTOR, MIN_POSTGRES
from backend.settings import Settings, generate_key
from backend.wiring import wire
from tests.deploy.files import (
    ROOT,
    VARIABLE,
    example,
    fill,
    final_stage,
    image_environment,
    instructions,
    required,
)

ALIASES = frozenset(str(field.alias) for field in Settings.model_fields.values())

#: Settings that the containers, and not whoever runs them, decide on.
DECIDED = frozenset(
    {
        "SECONDBRAIN_DATA_DIR",
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "DATABASE_DIRECT_URL",
        "HOST",
        "PORT",
        "INSTANCE_PORT",
        "INSTANCE_NAME",
        "WORKER_METRICS_PORT",
        "TRUSTED_PROXIES",
    }
)
#: Variables of the image that are not the product's.
FOREIGN = frozenset({"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"})


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """docker-compose.yml, variables still in it."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every service by name."""
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="module")
def ours(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The services that run the product's own image."""
    image = next(service["image"] for service in services.values() if "build" in service)
    return {name: service for name, service in services.items() if service["image"] == image}


def test_sets_only_settings_that_exist(ours: dict[str, dict[str, Any]]) -> None:
    for name, service in ours.items():
        assert set(service["environment"]) <= ALIASES, name
    assert set(image_environment()) <= ALIASES | FOREIGN


def test_lets_every_setting_be_set(compose: dict[str, Any]) -> None:
    shared = compose["x-settings"]
    assert set(shared) == (ALIASES - DECIDED) | {"DATABASE_URL"}
    for name in set(shared) - {"DATABASE_URL"}:
        assert re.fullmatch(rf"\$\{{{name}:(-|\?[^}}]+)\}}", shared[name]), (
            f"{name} is not passed on as it is"
        )


def test_runs_with_the_example_once_its_secrets_are_filled_in(
    services: dict[str, dict[str, Any]], ours: dict[str, dict[str, Any]]
) -> None:
    needed = {name for name, value in example().items() if not value} & required(services)
    given = example() | dict.fromkeys(needed, "x" * 16) | {"SECRET_KEYS": generate_key()}
    for name, service in fill(ours, given).items():
        environment = {**image_environment(), **service["environment"]}
        settings = Settings.model_validate({key: value for key, value in environment.items() if value != ""})
        settings.require_keys()
        assert settings.host == "0.0.0.0", name
        assert settings.public_url == Settings.model_fields["public_url"].default


def test_has_no_default_for_a_secret(services: dict[str, dict[str, Any]]) -> None:
    secret = {str(field.alias) for field in Settings.model_fields.values() if field.annotation is SecretStr}
    for name, operator, rest in VARIABLE.findall(yaml.safe_dump(services)):
        if name in secret or "PASSWORD" in name or "SECRET" in name:
            assert operator == ":?" or not rest, name
    assert required(services) == {
        "POSTGRES_PASSWORD",
        "DATABASE_OWNER_PASSWORD",
        "DATABASE_APP_PASSWORD",
        "SECRET_KEYS",
    }


def test_explains_what_has_to_be_filled_in(services: dict[str, dict[str, Any]]) -> None:
    known = {name for name, _, _ in VARIABLE.findall(yaml.safe_dump(services))}
    assert required(services) <= set(example()) <= known
    assert not any(example()[name] for name in required(services))
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_runs_commands_that_exist(ours: dict[str, dict[str, Any]]) -> None:
    assert dict(final_stage())["ENTRYPOINT"] == '["secondbrain"]'
    group = typer.main.get_command(cli)
    assert isinstance(group, typer.core.TyperGroup)
    started = [service["command"] for service in ours.values()] + [yaml.safe_load(dict(final_stage())["CMD"])]
    assert {command[0] for command in started} == {"migrate", "serve", "worker"} <= set(group.commands)
    assert not any(command[1:] for command in started)


def test_pins_every_image(services: dict[str, dict[str, Any]], ours: dict[str, dict[str, Any]]) -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    others = {service["image"] for name, service in services.items() if name not in ours}
    for image in (*bases, *others):
        assert re.search(r":\d+\.\d+\.\d+", image), f"{image} names no release"
    assert len(set(bases)) == 1, "wheels are installed for the Python that runs them"
    pgvector = re.fullmatch(r"pgvector/pgvector:(\S+?)-pg(\d+)-\w+", services["postgres"]["image"])
    assert pgvector, services["postgres"]["image"]
    assert tuple(map(int, pgvector[1].split("."))) >= MIN_PGVECTOR
    assert int(pgvector[2]) * 10000 >= MIN_POSTGRES
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    python = re.match(r"python:3\.(\d+)", bases[0])
    assert python
    assert int(python[1]) >= int(needs.removeprefix(">=3."))


def test_waits_for_what_it_needs(
    services: dict[str, dict[str, Any]], ours: dict[str, dict[str, Any]]
) -> None:
    for name, service in services.items():
        for other, needs in service.get("depends_on", {}).items():
            ends = services[other]["restart"] == "no"
            wanted = "service_completed_successfully" if ends else "service_healthy"
            assert needs["condition"] == wanted, f"{name} needs {other}"
    assert set(services["migrate"]["depends_on"]) == {"postgres", "roles"}
    assert set(services["roles"]["depends_on"]) == {"postgres"}
    assert all("migrate" in service["depends_on"] for name, service in ours.items() if name != "migrate")
    assert {name for name in services if name.startswith("web")} == set(
        services["loadbalancer"]["depends_on"]
    )


def test_goes_on_after_a_restart_and_stops_in_time(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if service["restart"] != "no":
            assert service["restart"] == "unless-stopped", name
            assert re.fullmatch(r"\d+s", service["stop_grace_period"]), name


def test_checks_health_where_something_answers(
    services: dict[str, dict[str, Any]], ours: dict[str, dict[str, Any]]
) -> None:
    made = wire(Settings.model_validate({"DATABASE_URL": "postgresql:///x", "SECRET_KEYS": generate_key()}))
    try:
        rules = {rule.rule for rule in create_app(made).url_map.iter_rules()}
    finally:
        made.close()
    web = str(image_environment()["PORT"])
    for name, service in services.items():
        if service["restart"] == "no":
            continue
        check = service.get("healthcheck", {}).get("test") or dict(final_stage())["HEALTHCHECK"]
        if name == "postgres":
            assert check[1] == "pg_isready"
            assert f"--dbname={service['environment']['POSTGRES_DB']}" in check
            continue
        found = re.search(r"http://[^'\"\s]+", str(check))
        assert found, name
        url = urlsplit(found[0])
        port = service["environment"].get("WORKER_METRICS_PORT", web) if name in ours else web
        assert (url.hostname, str(url.port)) == ("127.0.0.1", str(port)), name
        assert url.path in (rules if name != "worker" else {"/health", "/metrics"}), name


def test_gives_the_owner_to_migrations_and_the_administrator_to_nobody(
    services: dict[str, dict[str, Any]], ours: dict[str, dict[str, Any]]
) -> None:
    for name, service in services.items():
        written = yaml.safe_dump(service)
        assert ("POSTGRES_PASSWORD" in written) == (name in ("postgres", "roles")), name
        assert ("DATABASE_OWNER_" in written) == (name in ("migrate", "roles")), name
    filled = fill(ours, dict.fromkeys(required(services), "secret"))
    for variable, role in (("DATABASE_URL", APP_ROLE), ("DATABASE_OWNER_URL", OWNER_ROLE)):
        for url in (s["environment"][variable] for s in filled.values() if variable in s["environment"]):
            parts = urlsplit(url)
            assert (parts.username, parts.hostname, parts.port) == (role, "postgres", 5432)
            assert parts.path == f"/{services['postgres']['environment']['POSTGRES_DB']}"


def test_opens_the_load_balancer_only(services: dict[str, dict[str, Any]]) -> None:
    published = {name: fill(service["ports"], {}) for name, service in services.items() if "ports" in service}
    assert published == {"loadbalancer": ["127.0.0.1:5003:5003"]}


def test_mounts_files_that_exist(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for source, _, _ in (volume.partition(":") for volume in service.get("volumes", ())):
            assert source in compose["volumes"] or (ROOT / source).is_file(), source
