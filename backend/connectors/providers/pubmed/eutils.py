"""NCBI's E-utilities, as described at https://www.ncbi.nlm.nih.gov/books/NBK25499/."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Self

import httpx2
from lxml import etree

from backend.connectors.providers.contract import CredentialsRejected, ProviderRefused, ProviderUnavailable
from backend.connectors.providers.conversation import Conversation, refusal_of
from backend.connectors.providers.markup import parse_xml
from backend.connectors.providers.pace import Pace

#: NCBI allows three requests a second, and ten with a key.
SECONDS_APART: Final = 0.34
SECONDS_APART_WITH_KEY: Final = 0.11
TOOL: Final = "secondbrain"


class EUtils:
    """Requests to E-utilities about PubMed. Not shared between threads; close it.

    Everything is sent as a form: long searches do not fit into an address, and a key does not belong into one.
    """

    def __init__(self, base: str, *, api_key: str | None, email: str | None) -> None:
        self._http = Conversation(base, headers={}, refusal=_refusal)
        self._pace = Pace()
        self._seconds_apart = SECONDS_APART_WITH_KEY if api_key else SECONDS_APART
        self._form = {"db": "pubmed", "tool": TOOL}
        if email:
            self._form["email"] = email
        if api_key:
            self._form["api_key"] = api_key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(self, term: str, *, most: int, days: int | None) -> list[str]:
        """PMIDs of the articles that match, the best first, at most `most` (10,000); `days`: published since.

        Raises ProviderRefused for a search that PubMed does not understand, and what `Conversation.request` raises.
        """
        form = {"term": term, "retmode": "json", "retmax": str(most), "sort": "relevance"}
        if days is not None:
            form |= {"datetype": "pdat", "reldate": str(days)}
        self._pace.wait(self._seconds_apart)
        _, answer = self._http.request_json(
            "POST", "/entrez/eutils/esearch.fcgi", form={**self._form, **form}
        )
        result = answer.get("esearchresult") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            raise ProviderUnavailable
        _refuse_errors(result)
        found = result.get("idlist")
        if not isinstance(found, list):
            raise ProviderUnavailable
        return [str(pmid) for pmid in found if str(pmid).isdecimal()]

    def fetch(self, pmids: Sequence[str]) -> "list[etree._Element]":
        """The records of these articles; of some there may be none. Raises what `Conversation.request` raises."""
        form = {"id": ",".join(pmids), "retmode": "xml"}
        self._pace.wait(self._seconds_apart)
        _, body = self._http.request("POST", "/entrez/eutils/efetch.fcgi", form={**self._form, **form})
        try:
            root = parse_xml(body)
        except ValueError as error:
            raise ProviderUnavailable("PubMed's answer cannot be read.") from error
        if root.tag != "PubmedArticleSet":
            raise ProviderUnavailable("PubMed's answer cannot be read.")
        return [record for record in root if record.tag in ("PubmedArticle", "PubmedBookArticle")]


def _refuse_errors(result: Mapping[str, Any]) -> None:
    said = str(result.get("ERROR") or "")
    if not said:
        return
    if "backend" in said.lower() or "temporarily" in said.lower() or "unavailable" in said.lower():
        raise ProviderUnavailable
    raise ProviderRefused(f"PubMed does not understand the search: {said[:200]}")


def _refusal(response: httpx2.Response, body: bytes) -> Exception:
    if response.status_code == HTTPStatus.BAD_REQUEST:
        try:
            said = str(json.loads(body).get("error", ""))
        except (ValueError, AttributeError):
            said = ""
        if "api key" in said.lower():
            return CredentialsRejected("NCBI does not accept the API key; set another one, or none.")
        if said:
            return ProviderRefused(f"PubMed does not understand the search: {said[:200]}")
    return refusal_of(response, body)
