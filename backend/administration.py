"""Commands for whoever runs the installation: workspaces and people that may not come in, keys that sign."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from backend.processes import configured

if TYPE_CHECKING:
    from backend.wiring import Services

tenant = typer.Typer(help="Workspaces: who may come in.", no_args_is_help=True)
user = typer.Typer(help="People: who may come in.", no_args_is_help=True)
keys = typer.Typer(help="Keys that sign tokens and states.", no_args_is_help=True)

Slug = Annotated[str, typer.Argument(help="Short name of the workspace.")]
Email = Annotated[str, typer.Argument(help="Address the person signs in with.")]


@tenant.command("deactivate")
def close_tenant(slug: Slug) -> None:
    """Let nobody of a workspace in any more: sessions end, syncs stop, keys and attempts are void."""
    from backend.flows.deactivate.flow import deactivate_tenant

    with installed_services() as services:
        tenant_id = tenant_id_of(services, slug)
        with services.db.transaction(tenant_id) as session:
            deactivate_tenant(session, tenant_id)
    print(f"{slug} is deactivated.")


@tenant.command("activate")
def open_tenant(slug: Slug) -> None:
    """Let a workspace's people sign in again; its waiting jobs and schedules go on."""
    from backend.tenants.deactivation.repository import DeactivationRepository

    with installed_services() as services:
        tenant_id = tenant_id_of(services, slug)
        with services.db.transaction(tenant_id) as session:
            DeactivationRepository(session).activate_tenant(tenant_id)
    print(f"{slug} is active.")


@user.command("deactivate")
def close_user(email: Email) -> None:
    """Let a person in no more, even the last administrator; sessions end, keys and attempts are void."""
    from backend.flows.deactivate.flow import deactivate_user

    with installed_services() as services:
        tenant_id, user_id = _account(services, email)
        with services.db.transaction(tenant_id) as session:
            deactivate_user(session, tenant_id, user_id, even_the_last=True)
    print(f"{email} is deactivated.")


@user.command("activate")
def open_user(email: Email) -> None:
    """Let a person sign in again."""
    from backend.tenants.deactivation.repository import DeactivationRepository

    with installed_services() as services:
        tenant_id, user_id = _account(services, email)
        with services.db.transaction(tenant_id) as session:
            DeactivationRepository(session).activate_user(tenant_id, user_id)
    print(f"{email} is active.")


@keys.command("list")
def list_keys() -> None:
    """Show every key: when it signs, until when it is accepted, which of SECRET_KEYS it is sealed with."""
    from backend.keyring import kid_of_sealed
    from backend.keys.repository import SigningKeyRepository

    with installed_services() as services, services.db.operator_transaction() as session:
        for key in SigningKeyRepository(session, services.keyring).list_keys():
            until = (
                f"until {key.retires_at:%Y-%m-%d %H:%M} ({key.retired_because})"
                if key.retires_at
                else "newest"
            )
            print(
                f"{key.kid}  signs from {key.active_from:%Y-%m-%d %H:%M}  {until}"
                f"  sealed with {kid_of_sealed(key.sealed)}  by {key.made_by}"
            )


@keys.command("rotate")
def rotate_keys(
    now: Annotated[
        bool, typer.Option("--now", help="A key has leaked: end all that was signed, and every session.")
    ] = False,
) -> None:
    """Make a new key. Nobody notices, unless --now: then everybody signs in again."""
    from backend.flows.rotate_keys.flow import replace_keys_now
    from backend.keys.repository import LEAD, SigningKeyRepository

    by = f"command line on {socket.gethostname()}"
    with installed_services() as services:
        keep = timedelta(seconds=services.settings.signed_lives_seconds)
        with services.db.operator_transaction() as session:
            if now:
                kid, ended = replace_keys_now(session, services.keyring, by=by)
            else:
                kid = SigningKeyRepository(session, services.keyring).rotate(keep=keep, by=by)
    if now:
        print(f"{kid} signs. Everything signed before is void, and {ended} sessions have ended.")
    else:
        print(
            f"{kid} signs in {LEAD.seconds // 60} minutes; the one before is accepted for {keep.days} days."
        )


@contextmanager
def installed_services() -> "Iterator[Services]":
    """What a command needs of the installation; closed when it is done."""
    from backend.wiring import wire

    services = wire(configured())
    try:
        yield services
    finally:
        services.close()


def tenant_id_of(services: "Services", slug: str) -> UUID:
    """The workspace called `slug`. Raises TenantNotFound."""
    from backend.tenants.repository import TenantRepository

    with services.db.operator_transaction() as session:
        return TenantRepository(session).get_tenant_by_slug(slug).id


def _account(services: "Services", email: str) -> tuple[UUID, UUID]:
    from backend.tenants.access import account_name
    from backend.tenants.deactivation.repository import UserNotFound
    from backend.tenants.repository import TenantRepository

    with services.db.operator_transaction() as session:
        found = TenantRepository(session).find_user_by_email(account_name(email))
    if found is None:
        raise UserNotFound(f"Nobody signs in as {email}.")
    return found[1].id, found[0].id
