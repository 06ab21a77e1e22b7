"""The sources existing clients show a card for, whether or not they can be connected here yet."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """How a source presents itself. `auth_type`: oauth, api_key or config."""

    type: str
    name: str
    description: str
    icon: str
    auth_type: str


CARDS = (
    Card("slack", "Slack", "Channels, threads and files", "slack", "oauth"),
    Card("gmail", "Gmail", "Mail threads and attachments", "gmail", "oauth"),
    Card("box", "Box", "Files and folders", "box", "oauth"),
    Card("github", "GitHub", "README, documentation, code, issues and pull requests", "github", "oauth"),
    Card("onedrive", "OneDrive", "Files of OneDrive and SharePoint", "onedrive", "oauth"),
    Card("pubmed", "PubMed", "Abstracts of biomedical literature", "pubmed", "config"),
    Card("webscraper", "Web pages", "Pages of a website", "webscraper", "config"),
    Card("researchgate", "ResearchGate", "Not available on this server", "researchgate", "config"),
    Card("googlescholar", "Google Scholar", "Not available on this server", "googlescholar", "config"),
)

NAMES = frozenset(card.type for card in CARDS)


def card_of(connector_type: str) -> Card | None:
    """The card of a source, if it is one of ours."""
    return next((card for card in CARDS if card.type == connector_type), None)
