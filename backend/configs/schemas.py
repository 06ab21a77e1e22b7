"""What can be configured: one schema per name. A name is added by a class here and a line in `SCHEMAS`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.errors import NotFound


class ConfigUnknown(NotFound):
    """Nothing of this name can be configured."""


class Config(BaseModel):
    """Settings that are published together under `name`; every one has a default and limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: ClassVar[str]


class ParserConfig(Config):
    """How documents become passages; counts for whatever is read from then on."""

    name: ClassVar[str] = "parser"

    max_bytes: int = Field(32 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    """Documents of more bytes are not read."""

    timeout_seconds: int = Field(120, ge=1, le=3600)
    """Reading one document may take so long."""

    max_memory_bytes: int = Field(1024 * 1024 * 1024, ge=64 * 1024 * 1024, le=64 * 1024 * 1024 * 1024)
    """Reading one document may take so much memory, beyond what the process that reads takes at rest."""

    max_characters: int = Field(5_000_000, ge=10_000, le=50_000_000)
    """Of a longer text, so many characters are kept, and the document says so."""

    max_expanded_bytes: int = Field(512 * 1024 * 1024, ge=1024 * 1024, le=16 * 1024 * 1024 * 1024)
    """Archives (DOCX, XLSX, EPUB, …) that say they expand to more are not read."""

    max_expansion_ratio: int = Field(250, ge=10, le=1100)
    """Nor those that expand to more than 16 MB and so many times their size."""

    max_archive_entries: int = Field(10_000, ge=100, le=1_000_000)
    """Nor those of more parts."""

    chunk_characters: int = Field(1200, ge=200, le=8000)
    """A passage has at most so many characters."""

    chunk_overlap: int = Field(0, ge=0)
    """Neighbouring passages share up to so many characters; at most half a passage."""

    @model_validator(mode="after")
    def _overlap_leaves_room(self) -> Self:
        # Beyond half, the number of passages of a document grows without bound.
        if self.chunk_overlap > self.chunk_characters // 2:
            raise ValueError("chunk_overlap must be at most half of chunk_characters")
        return self


class UploadConfig(Config):
    """What a workspace may hand in."""

    name: ClassVar[str] = "uploads"

    quota_bytes: int = Field(10 * 1024**3, ge=0, le=2**50)
    """Originals of a workspace take up to so many bytes together."""


class SearchLogConfig(Config):
    """Whether what people ask is kept."""

    name: ClassVar[str] = "search_log"

    is_on: bool = True
    """Off: questions asked from then on are not written down; what is there stays until it is purged."""


SCHEMAS: Mapping[str, type[Config]] = MappingProxyType(
    {schema.name: schema for schema in (ParserConfig, UploadConfig, SearchLogConfig)}
)


def schema_of(name: str) -> type[Config]:
    """The schema of `name`. Raises ConfigUnknown."""
    try:
        return SCHEMAS[name]
    except KeyError as error:
        raise ConfigUnknown from error


def validated(name: str, settings: Mapping[str, Any]) -> Config:
    """`settings`, an object, as somebody sends them; what is left out has its default.

    Raises ConfigUnknown, and `pydantic.ValidationError` for an unknown setting or a value that is not allowed.
    """
    return schema_of(name).model_validate(settings)


def restorable(name: str, settings: Mapping[str, Any]) -> Config:
    """`settings` of an old version as a whole of today: what is unknown now is left out, what was added since has
    its default.

    Raises ConfigUnknown, and `pydantic.ValidationError` for a value that is not allowed any more.
    """
    return schema_of(name).model_validate(dict(settings), extra="ignore")


def stored(name: str, settings: Mapping[str, Any]) -> Config:
    """`settings` as they were stored, perhaps by another version of the product, whose names and limits were others.

    Never fails on what it finds: what is unknown is left out, and a value that is not allowed gives way to its
    default, as documents must be read with something.
    """
    try:
        return restorable(name, settings)
    except ValidationError as error:
        wrong = {e["loc"][0] for e in error.errors() if e["loc"]}
        allowed = {key: value for key, value in settings.items() if wrong and key not in wrong}
    try:
        return restorable(name, allowed)
    except ValidationError:
        return schema_of(name)()
