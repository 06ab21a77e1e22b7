"""Web pages: one website, from a page a person names, by its links and its sitemap.

`source.py` walks and reads; `position.py` is how far a pass is, `visit.py` what one request showed, `robots.py` and
`sitemap.py` what the site says about itself, `page.py` what an HTML page says and which part of it is its text,
`names.py` when two addresses are the same page. All requests go through `backend/outside`.
"""

from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from backend.connectors.providers.provider import Provider, SourceSettings
from backend.outside.addresses import AddressRefused, read_url


def _with_scheme(value: object) -> object:
    if isinstance(value, str) and value.strip() and "://" not in value:
        return f"https://{value.strip()}"
    return value


def _web_address(value: str) -> str:
    try:
        # Whether the port and the network may be read, only the installation knows: `Fetcher.check` asks it.
        return str(read_url(value.strip(), any_port=True))
    except AddressRefused as error:
        raise ValueError(error.message) from error


def _path(value: str) -> str:
    return value if value.startswith("/") else f"/{value}"


Path = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_path)
]
Host = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, max_length=253, pattern=r"^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?$"
    ),
]


class WebSettings(SourceSettings):
    """Which website, and how far into it."""

    start_url: Annotated[str, BeforeValidator(_with_scheme), AfterValidator(_web_address)] = Field(
        description="where to begin; without a scheme, https is meant", max_length=2000
    )
    priority_paths: list[Path] = Field(
        default_factory=list, max_length=50, description="paths to read first, each with all below it"
    )
    max_depth: int = Field(
        3, ge=1, le=5, description="links from the start page to follow, one after the other"
    )
    max_pages: int = Field(50, ge=10, le=2000, description="documents to keep at most")
    include_pdfs: bool = Field(
        True, description="whether PDF and office files that pages link to are read too"
    )
    rate_limit_delay: float = Field(1.0, ge=0, le=60, description="seconds between two requests at least")
    allowed_hosts: list[Host] = Field(
        default_factory=list, max_length=20, description="other hosts that belong to the website"
    )


PROVIDER: Final = Provider(
    type="webscraper",
    name="Website",
    description="Pages and documents of a website",
    icon="globe",
    auth_type="config",
    settings_model=WebSettings,
    source="backend.connectors.providers.webscraper.source:open_source",
    api_base="",
)
