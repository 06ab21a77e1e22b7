"""PubMed: the articles a search finds, by NCBI's E-utilities.

`source.py` lists and reads, `eutils.py` talks to the API, `articles.py` turns its XML into documents. Needs no account;
an API key, if there is one, only lets it be asked more often, and comes as credentials, never as a setting.
"""

from typing import Annotated, Final, Literal

from pydantic import EmailStr, Field, StringConstraints

from backend.connectors.providers.provider import Provider, SourceSettings


class PubMedSettings(SourceSettings):
    """Which articles to sync."""

    search_query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)] = (
        Field(description="as it would be typed into PubMed")
    )
    max_results: int = Field(
        100, ge=1, le=500, description="articles to keep at most, the best matches first"
    )
    date_range_years: Literal[0, 1, 2, 5, 10] = Field(
        5, description="only articles published in the last so many years; 0 for all"
    )
    include_abstracts_only: bool = Field(
        True, description="whether articles without an abstract are left out"
    )
    contact_email: EmailStr | None = Field(
        None, description="whom NCBI may write to when it is asked too much; sent with each request"
    )


PROVIDER: Final = Provider(
    type="pubmed",
    name="PubMed",
    description="Articles and abstracts that a search in PubMed finds",
    icon="pubmed",
    auth_type="config",
    settings_model=PubMedSettings,
    source="backend.connectors.providers.pubmed.source:open_source",
    api_base="https://eutils.ncbi.nlm.nih.gov",
    secret="api_key",  # noqa: S106 - the name of a field
)
