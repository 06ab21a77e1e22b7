"""Publish, withdraw, current, history, restore; and what has changed since a revision."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, null, select, text, union_all
from sqlalchemy.orm import Session

from backend.configs.models import ConfigVersion, InstallationConfigVersion
from backend.configs.schemas import Config, restorable, schema_of, stored
from backend.db.notify import Channel
from backend.db.transaction import hint
from backend.errors import NotFound, Outdated

#: Of the database: who publishes holds it until the commit, so revisions become visible in their order.
_LOCK: Final = 5_003_000_003

Version = ConfigVersion | InstallationConfigVersion


class ConfigChanged(Outdated):
    """This config was changed since you read it; look at it again."""


class ConfigVersionNotFound(NotFound):
    """This config has no such version."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What counts for a tenant: `version` is its own newest (0: none), `installation_version` the installation's.

    `origin` says whose settings they are: tenant, installation or default.
    """

    version: int
    installation_version: int
    origin: str
    settings: Config


@dataclass(frozen=True, slots=True)
class Change:
    """A version was appended; `tenant_id` None is the installation's."""

    tenant_id: UUID | None
    name: str
    revision: int


class ConfigRepository:
    """Configs within the caller's transaction: `tenant_id` is the transaction's tenant, or None for the
    installation, which takes an operator transaction to write.

    Writing holds a lock of the whole installation until the transaction ends: write last, and commit. `expected`
    is the version the caller has seen (0: there was none); None writes after whichever there is.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def publish(
        self, tenant_id: UUID | None, config: Config, *, expected: int | None, by: UUID | None = None
    ) -> int:
        """Appends `config` as the version that counts from the commit on; returns its number.

        Raises ConfigChanged.
        """
        return self._append(tenant_id, config.name, config.model_dump(mode="json"), expected, by, None)

    def withdraw(self, tenant_id: UUID, name: str, *, expected: int | None, by: UUID | None = None) -> int:
        """Appends a version without settings: from now on the installation's count. Raises ConfigChanged."""
        schema_of(name)
        return self._append(tenant_id, name, None, expected, by, "withdrawn")

    def restore(
        self,
        tenant_id: UUID | None,
        name: str,
        version: int,
        *,
        expected: int | None,
        by: UUID | None = None,
    ) -> int:
        """Appends the settings of `version` again.

        Raises ConfigVersionNotFound, ConfigChanged, and `pydantic.ValidationError` for a value that is not allowed
        any more.
        """
        found = self._find(tenant_id, name, version)
        if found is None:
            raise ConfigVersionNotFound
        return self._append(
            tenant_id, name, _whole(name, found.settings), expected, by, f"restored from version {version}"
        )

    def reload(self, tenant_id: UUID, name: str, *, by: UUID | None = None) -> int:
        """Appends the newest version once more, so that every process lets go of what it holds and reads it."""
        schema_of(name)
        self._session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        newest = self._find(tenant_id, name)
        return self._append(tenant_id, name, newest.settings if newest else None, None, by, "reload")

    def current(self, tenant_id: UUID, name: str) -> InForce:
        """What counts for the tenant. Raises ConfigUnknown."""
        schema = schema_of(name)
        own, general = self._find(tenant_id, name), self._find(None, name)
        versions = own.version if own else 0, general.version if general else 0
        if own is not None and own.settings is not None:
            return InForce(*versions, "tenant", stored(name, own.settings))
        if general is not None and general.settings is not None:
            return InForce(*versions, "installation", stored(name, general.settings))
        return InForce(*versions, "default", schema())

    def history(
        self, tenant_id: UUID | None, name: str, *, limit: int = 50, before: int | None = None
    ) -> Sequence[Version]:
        """Up to `limit` versions, the newest first; only those older than version `before`, if given."""
        schema_of(name)
        model, where = _place(tenant_id, name)
        query = select(model).where(*where).order_by(model.version.desc()).limit(limit)
        return self._session.scalars(query if before is None else query.where(model.version < before)).all()

    def list_versions_at(
        self, tenant_id: UUID, name: str, revisions: Collection[int]
    ) -> Mapping[int, tuple[int, int]]:
        """For each revision what a process that has got that far runs: (version, installation_version)."""
        rows = self._session.execute(
            _VERSIONS_AT, {"tenant_id": tenant_id, "name": name, "revisions": list(set(revisions))}
        )
        return {revision: (own, general) for revision, own, general in rows}

    def head(self) -> int:
        """The newest revision; in an operator transaction. 0 when nothing was ever published."""
        newest = (
            select(func.max(ConfigVersion.revision)).scalar_subquery(),
            select(func.max(InstallationConfigVersion.revision)).scalar_subquery(),
        )
        return self._session.scalar(select(func.greatest(*newest, 0))) or 0

    def list_changes(self, *, since: int) -> list[Change]:
        """What was appended after revision `since`, of all tenants; in an operator transaction."""
        own = select(ConfigVersion.tenant_id, ConfigVersion.name, ConfigVersion.revision).where(
            ConfigVersion.revision > since
        )
        general = select(null(), InstallationConfigVersion.name, InstallationConfigVersion.revision).where(
            InstallationConfigVersion.revision > since
        )
        rows: Sequence[Any] = self._session.execute(union_all(own, general)).all()
        return [Change(tenant_id, name, revision) for tenant_id, name, revision in rows]

    def _find(self, tenant_id: UUID | None, name: str, version: int | None = None) -> Version | None:
        model, where = _place(tenant_id, name)
        query = select(model).where(*where).order_by(model.version.desc()).limit(1)
        return self._session.scalar(query if version is None else query.where(model.version == version))

    def _append(
        self,
        tenant_id: UUID | None,
        name: str,
        settings: dict[str, Any] | None,
        expected: int | None,
        by: UUID | None,
        note: str | None,
    ) -> int:
        self._session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        # A statement of its own: its snapshot is taken once the lock is ours, so it sees the one before us.
        newest = self._find(tenant_id, name)
        version = newest.version if newest else 0
        if expected is not None and expected != version:
            raise ConfigChanged(expected_version=expected, current_version=version)
        values: dict[str, Any] = {"name": name, "version": version + 1, "settings": settings, "note": note}
        if tenant_id is None:
            self._session.add(InstallationConfigVersion(**values))
        else:
            self._session.add(ConfigVersion(tenant_id=tenant_id, published_by=by, **values))
        self._session.flush()
        hint(self._session, Channel.CONFIG_VERSIONS, tenant_id or "installation", name, version + 1)
        return version + 1


_VERSIONS_AT = text(
    """
    SELECT r.revision,
           coalesce((SELECT max(version) FROM config_versions WHERE tenant_id = :tenant_id
                     AND name = :name AND revision <= r.revision), 0),
           coalesce((SELECT max(version) FROM installation_config_versions WHERE name = :name
                     AND revision <= r.revision), 0)
    FROM unnest(CAST(:revisions AS bigint[])) AS r (revision)
    """
)


def _place(tenant_id: UUID | None, name: str) -> tuple[type[Any], tuple[Any, ...]]:
    if tenant_id is None:
        return InstallationConfigVersion, (InstallationConfigVersion.name == name,)
    return ConfigVersion, (ConfigVersion.tenant_id == tenant_id, ConfigVersion.name == name)


def _whole(name: str, settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`settings` of an old version as a whole of today: checked again, with what was added since."""
    return None if settings is None else restorable(name, settings).model_dump(mode="json")
