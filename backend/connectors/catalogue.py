"""The sources people can choose from."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from backend.connectors.providers.provider import Provider
from backend.errors import NotFound

#: Adding a provider is one line here, in the order people see them.
PROVIDER_MODULES: Final = (
    "slack",
    "gmail",
    "google_drive",
    "box",
    "github",
    "onedrive",
    "pubmed",
    "webscraper",
)


class UnknownSource(NotFound):
    """There is no source of this name."""


def load_providers() -> MappingProxyType[str, Provider]:
    """Every provider, by the type of its connectors."""
    modules = (import_module(f"backend.connectors.providers.{name}") for name in PROVIDER_MODULES)
    return MappingProxyType({module.PROVIDER.type: module.PROVIDER for module in modules})


def find_provider(providers: Mapping[str, Provider], connector_type: str) -> Provider:
    """The provider of that name. Raises UnknownSource."""
    provider = providers.get(connector_type)
    if provider is None:
        raise UnknownSource
    return provider


#: Names existing clients show a card for although nothing can be connected under them, and why.
NOT_AVAILABLE: Final = MappingProxyType(
    {
        "researchgate": ("ResearchGate", "Not available: it has no API for reading"),
        "googlescholar": ("Google Scholar", "Not available: it has no API for reading"),
    }
)
