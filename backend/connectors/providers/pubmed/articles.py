"""A record of PubMed as a document, by NLM's description of its XML (https://dtd.nlm.nih.gov/ncbi/pubmed/)."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from lxml import etree

from backend.connectors.providers.contract import JSON, Entry, SourceItem

_TITLES: Final = ("ArticleTitle", "VernacularTitle", "BookTitle")
MAX_AUTHORS: Final = 50
MAX_TERMS: Final = 100
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: What became of an article, by the type of the notice that says so.
_NOTICES: Final = MappingProxyType(
    {
        "RetractionIn": "Retracted",
        "PartialRetractionIn": "Retracted in part",
        "ExpressionOfConcernIn": "Expression of concern",
        "ErratumIn": "Corrected",
        "CorrectedandRepublishedIn": "Corrected and republished",
        "UpdateIn": "Updated",
    }
)

Element = etree._Element


def entry_of(record: Element) -> Entry:
    """An article as a listing shows it; the listing has all of it."""
    item = item_of(record)
    told = json.dumps([item.title, item.author, item.metadata], sort_keys=True, default=str)
    return Entry(
        external_id=item.external_id,
        title=item.title,
        url=item.url,
        revision=hashlib.sha256(hashlib.sha256(item.body).digest() + told.encode()).hexdigest()[:40],
        locator={"pmid": item.external_id},
        listed=item,
    )


def item_of(record: Element) -> SourceItem:
    """One article, its abstract as Markdown. Full texts are not in PubMed."""
    pmid = _text(record, "./MedlineCitation/PMID | ./BookDocument/PMID")
    title = next(filter(None, (_text(record, f".//{name}") for name in _TITLES)), "")
    authors = list(_authors(record))
    doi = _identifier(record, "doi") or _text(record, ".//ELocationID[@EIdType='doi']")
    pmcid = _identifier(record, "pmc")
    journal = _text(record, ".//Journal/Title") or _text(record, ".//Book/Publisher/PublisherName")
    published = _published(record)
    mesh = _texts(record, ".//MeshHeading/DescriptorName")[:MAX_TERMS]
    keywords = _texts(record, ".//Keyword")[:MAX_TERMS]
    types = _texts(record, ".//PublicationType")
    notices = list(_notices(record))
    is_retracted = "Retracted Publication" in types or any(name == "Retracted" for name, _ in notices)
    metadata: dict[str, JSON] = {
        "pmid": pmid,
        "doi": doi or None,
        "pmcid": pmcid or None,
        "journal": journal or None,
        "participants": authors[:MAX_AUTHORS],
        "labels": mesh or keywords,
        "publication_types": types,
        "language": _text(record, ".//Language") or None,
        "is_retracted": is_retracted,
        "full_text_url": f"https://pmc.ncbi.nlm.nih.gov/articles/{pmcid}/" if pmcid else None,
        "file_type": "article",
    }
    parts = [f"# {title or f'PubMed {pmid}'}"]
    parts += [f"**{name}.** {said}".rstrip() for name, said in notices]
    if is_retracted and not any(name == "Retracted" for name, _ in notices):
        parts.append("**Retracted.**")
    parts += [", ".join(authors[:MAX_AUTHORS]), _citation(record, journal, doi, pmid, pmcid)]
    parts += _abstract(record)
    parts += [f"Keywords: {', '.join(keywords)}"] if keywords else []
    parts += [f"MeSH terms: {', '.join(mesh)}"] if mesh else []
    return SourceItem(
        external_id=pmid,
        title=title or f"PubMed {pmid}",
        body="\n\n".join(filter(None, parts)).encode(),
        mime_type="text/markdown",
        file_name=f"{pmid}.md",
        kind="article",
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/",
        author=authors[0] if authors else None,
        created_at=published,
        updated_at=_date(_first(record, "./MedlineCitation/DateRevised | ./BookDocument/DateRevised")),
        metadata=metadata,
    )


def _abstract(record: Element) -> Iterator[str]:
    for abstract in _all(record, ".//Abstract | .//OtherAbstract[@Language='eng']"):
        sections = [(part.get("Label"), _plain(part)) for part in _all(abstract, "./AbstractText")]
        sections = [(label, text) for label, text in sections if text]
        if not sections:
            continue
        yield "## Abstract"
        for label, text in sections:
            yield f"### {label.strip().capitalize()}\n\n{text}" if label else text
        return


def _citation(record: Element, journal: str, doi: str, pmid: str, pmcid: str) -> str:
    issue = _first(record, ".//JournalIssue")
    when = volume = number = ""
    if issue is not None:
        when = " ".join(_texts(issue, "./PubDate/*"))
        volume, number = _text(issue, "./Volume"), _text(issue, "./Issue")
    pages = _text(record, ".//Pagination/MedlinePgn")
    place = f"{volume}{f'({number})' if number else ''}{f':{pages}' if pages else ''}"
    about = [journal, when, place, f"doi:{doi}" if doi else "", f"PMID {pmid}", pmcid]
    return ". ".join(filter(None, about)) + "."


def _notices(record: Element) -> Iterator[tuple[str, str]]:
    for notice in _all(record, ".//CommentsCorrectionsList/CommentsCorrections"):
        name = _NOTICES.get(notice.get("RefType") or "")
        if name:
            pmid = _text(notice, "./PMID")
            yield name, " ".join(filter(None, (_text(notice, "./RefSource"), f"PMID {pmid}" if pmid else "")))


def _authors(record: Element) -> Iterator[str]:
    lists = _all(record, ".//AuthorList[not(@Type='editors')]")
    for author in _all(lists[0], "./Author") if lists else ():
        collective = _text(author, "./CollectiveName")
        name = " ".join(filter(None, (_text(author, "./ForeName"), _text(author, "./LastName"))))
        if collective or name:
            yield collective or name


def _identifier(record: Element, kind: str) -> str:
    # Not those of the references, which stand further down.
    return _text(record, f"./PubmedData/ArticleIdList/ArticleId[@IdType='{kind}']")


def _published(record: Element) -> datetime | None:
    for path in (".//ArticleDate", ".//JournalIssue/PubDate", ".//Book/PubDate"):
        found = _date(_first(record, path))
        if found is not None:
            return found
    return None


def _date(element: Element | None) -> datetime | None:
    """A date of NLM's: `Year`, `Month` (number or name) and `Day`, or words like `2019 Jan-Feb`."""
    if element is None:
        return None
    words = _text(element, "./MedlineDate").replace("-", " ").split()
    year = _text(element, "./Year") or (words[0] if words else "")
    month = (_text(element, "./Month") or (words[1] if len(words) > 1 else "")).lower()
    day = _text(element, "./Day")
    number = int(month) if month.isdecimal() else 1 + _MONTHS.index(month[:3]) if month[:3] in _MONTHS else 1
    try:
        return datetime(int(year), number, int(day) if day.isdecimal() else 1, tzinfo=UTC)
    except ValueError:
        return None


def _all(element: Element, path: str) -> list[Element]:
    found = element.xpath(path)
    return [one for one in found if isinstance(one, Element)] if isinstance(found, list) else []


def _first(element: Element, path: str) -> Element | None:
    return next(iter(_all(element, path)), None)


def _plain(element: Element) -> str:
    # Words in italics, indices and formulas are elements of their own.
    return " ".join("".join(map(str, element.itertext())).split())


def _text(element: Element, path: str) -> str:
    return next(filter(None, map(_plain, _all(element, path))), "")


def _texts(element: Element, path: str) -> list[str]:
    return list(dict.fromkeys(filter(None, map(_plain, _all(element, path)))))
