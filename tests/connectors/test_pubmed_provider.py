"""PubMed, against exchanges written from NCBI's published description (`tests/emulators/pubmed.py`)."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina
from pydantic import ValidationError

from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    CursorExpired,
    Entry,
    ItemGone,
    Opening,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.pubmed import PROVIDER, PubMedSettings
from tests.connectors.mirror import Mirror, read_pages, shown
from tests.emulators.pubmed import PubMed, article
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

KEY = "key-never-to-be-seen"


@dataclass
class Library:
    """PubMed and the server in front of it."""

    pubmed: PubMed
    api: ScriptedServer

    def opening(self, *, key: str | None = None, **settings: Any) -> Opening:
        validated = PROVIDER.settings_model.model_validate(
            {"search_query": "sorting", **settings}
        ).model_dump()
        credentials = Credentials(key, None, None, (), "api_key") if key else None
        return Opening(validated, credentials, self.api.base_url)

    def pages(self, cursor: Any = None, **settings: Any) -> list[Page]:
        return read_pages(PROVIDER, self.opening(**settings), cursor)

    def item(self, pmid: str) -> SourceItem:
        with closing(PROVIDER.open_source(self.opening())) as source:
            return source.read(Entry(pmid, pmid, None, None, {"pmid": pmid}))


@pytest.fixture
def library() -> Iterator[Library]:
    pubmed = PubMed({str(number): article(str(number), f"Article {number}") for number in (101, 102, 103)})
    with stamina.set_testing(True, attempts=4, cap=True), scripted_server(pubmed) as api:
        yield Library(pubmed, api)


def test_sync_follows_what_a_search_finds(library: Library) -> None:
    library.pubmed.api_key = KEY
    mirror = Mirror(PROVIDER, library.opening(key=KEY)).sync()
    assert list(mirror.documents) == ["101", "102", "103"]
    assert mirror.sync().reads == []
    library.pubmed.articles["102"] = article("102", "Article 102, corrected")
    library.pubmed.articles["104"] = article("104", "Article 104")
    del library.pubmed.articles["101"]
    assert mirror.sync().reads == ["Article 102, corrected", "Article 104"]
    assert set(mirror.documents) == {"101", "102", "103", "104"}
    assert set(mirror.sync().documents) == {"102", "103", "104"}


def test_search_is_what_was_chosen(library: Library) -> None:
    library.pages(max_results=2)
    library.pages(date_range_years=0, include_abstracts_only=False, contact_email="library@example.com")
    first, _, second, *_ = library.pubmed.forms
    assert first == {
        "db": "pubmed",
        "tool": "secondbrain",
        "term": "(sorting) AND hasabstract",
        "retmode": "json",
        "retmax": "2",
        "sort": "relevance",
        "datetype": "pdat",
        "reldate": "1826",
    }
    assert second == {
        "db": "pubmed",
        "tool": "secondbrain",
        "email": "library@example.com",
        "term": "sorting",
        "retmode": "json",
        "retmax": "100",
        "sort": "relevance",
    }


def test_article_is_a_document(library: Library) -> None:
    library.pubmed.articles["7"] = article(
        "7",
        "Effects of <i>E. coli</i> on H<sub>2</sub>O &amp; more.",
        abstract=(
            '<AbstractText Label="BACKGROUND" NlmCategory="BACKGROUND">Why <b>so</b>.</AbstractText>'
            '<AbstractText Label="RESULTS">It works.</AbstractText><CopyrightInformation>©</CopyrightInformation>'
        ),
        more=(
            "<MeshHeadingList><MeshHeading><DescriptorName UI='D1'>Water</DescriptorName>"
            "<QualifierName UI='Q1'>chemistry</QualifierName></MeshHeading></MeshHeadingList>"
            "<KeywordList><Keyword>sorting</Keyword></KeywordList>"
        ),
    ).replace(
        '<ArticleId IdType="doi">10.1000/7<',
        '<ArticleId IdType="pmc">PMC77</ArticleId><ArticleId IdType="doi">10.1000/7<',
    )
    item = library.item("7")
    assert item.title == "Effects of E. coli on H2O & more."
    assert item.url == "https://pubmed.ncbi.nlm.nih.gov/7/"
    assert (item.mime_type, item.kind, item.author) == ("text/markdown", "article", "Marie Curie")
    assert item.created_at == datetime(2024, 3, 1, tzinfo=UTC)
    assert item.updated_at == datetime(2025, 7, 9, tzinfo=UTC)
    assert item.metadata == {
        "pmid": "7",
        "doi": "10.1000/7",
        "pmcid": "PMC77",
        "journal": "Journal of Examples",
        "participants": ["Marie Curie", "Example Group"],
        "labels": ["Water"],
        "publication_types": ["Journal Article"],
        "language": "eng",
        "is_retracted": False,
        "full_text_url": "https://pmc.ncbi.nlm.nih.gov/articles/PMC77/",
        "file_type": "article",
    }
    assert item.body.decode() == (
        "# Effects of E. coli on H2O & more.\n\nMarie Curie, Example Group\n\n"
        "Journal of Examples. 2024 Mar. 12(3):101-9. doi:10.1000/7. PMID 7. PMC77.\n\n"
        "## Abstract\n\n### Background\n\nWhy so.\n\n### Results\n\nIt works.\n\n"
        "Keywords: sorting\n\nMeSH terms: Water"
    )


def test_what_became_of_an_article_is_said(library: Library) -> None:
    notices = (
        '<CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn"><RefSource>J Ex. 2025;1:2</RefSource>'
        '<PMID Version="1">55</PMID></CommentsCorrections><CommentsCorrections RefType="Cites"><PMID>1</PMID>'
        '</CommentsCorrections><CommentsCorrections RefType="ErratumIn"><RefSource>J Ex. 2024;9:9</RefSource>'
        "</CommentsCorrections></CommentsCorrectionsList>"
    )
    before = library.pages()
    library.pubmed.articles["101"] = article("101", "Article 101", more=notices)
    item = library.item("101")
    assert item.metadata["is_retracted"] is True
    assert "**Retracted.** J Ex. 2025;1:2 PMID 55\n\n**Corrected.** J Ex. 2024;9:9\n" in item.body.decode()
    revisions = [
        {entry.external_id: entry.revision for entry in pages[0].entries}
        for pages in (before, library.pages())
    ]
    assert revisions[0]["101"] != revisions[1]["101"]
    assert revisions[0]["102"] == revisions[1]["102"]


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("<Year>2020</Year>", datetime(2020, 1, 1, tzinfo=UTC)),
        ("<Year>2020</Year><Month>12</Month><Day>31</Day>", datetime(2020, 12, 31, tzinfo=UTC)),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", datetime(1998, 12, 1, tzinfo=UTC)),
        ("<MedlineDate>2011 Fall</MedlineDate>", datetime(2011, 1, 1, tzinfo=UTC)),
        ("<Year>2020</Year><Month>Feb</Month><Day>31</Day>", None),
        ("", None),
    ],
)
def test_dates_are_as_journals_print_them(library: Library, date: str, expected: datetime | None) -> None:
    written = article("8", "A").replace("<Year>2024</Year><Month>Mar</Month>", date)
    library.pubmed.articles["8"] = written
    assert library.item("8").created_at == expected


def test_article_without_anything_is_a_document_too(library: Library) -> None:
    library.pubmed.articles["9"] = (
        "<PubmedArticle><MedlineCitation><PMID>9</PMID><Article/></MedlineCitation></PubmedArticle>"
    )
    item = library.item("9")
    assert (item.title, item.author, item.created_at) == ("PubMed 9", None, None)
    assert item.body.decode() == "# PubMed 9\n\nPMID 9."


def test_book_chapter_is_an_article(library: Library) -> None:
    library.pubmed.articles["10"] = (
        "<PubmedBookArticle><BookDocument><PMID>10</PMID><Book><Publisher><PublisherName>NCBI</PublisherName></Publisher>"
        "<BookTitle>Reviews</BookTitle><PubDate><Year>2001</Year></PubDate></Book><ArticleTitle>A gene</ArticleTitle>"
        "<Abstract><AbstractText>Short.</AbstractText></Abstract></BookDocument></PubmedBookArticle>"
    )
    item = library.item("10")
    assert (item.external_id, item.title) == ("10", "A gene")
    assert item.created_at == datetime(2001, 1, 1, tzinfo=UTC)
    assert "Short." in item.body.decode()


def test_pass_goes_on_from_every_cursor_with_exactly_the_rest(library: Library) -> None:
    library.pubmed.api_key = KEY
    library.pubmed.articles = {str(n): article(str(n), f"Article {n}") for n in range(1000, 1250)}
    pages = library.pages(max_results=250, key=KEY)
    assert [len(page.entries) for page in pages] == [100, 100, 50]
    assert {page.total for page in pages} == {250}
    assert all(page.is_full for page in pages)
    # What is found meanwhile is for the next pass.
    library.pubmed.articles["1"] = article("1", "New")
    for number, page in enumerate(pages[:-1], start=1):
        assert shown(library.pages(page.cursor, max_results=250, key=KEY)) == shown(pages[number:])
    for cursor in (pages[-1].cursor, {"version": 0}, {**pages[0].cursor, "choice": "other"}):
        with pytest.raises(CursorExpired):
            library.pages(cursor, max_results=250, key=KEY)
    with pytest.raises(CursorExpired):
        library.pages(pages[0].cursor, max_results=249)


def test_search_that_finds_nothing_is_a_pass(library: Library) -> None:
    library.pubmed.found = []
    (page,) = library.pages()
    assert (page.entries, page.total, page.is_full) == ((), 0, True)


def test_article_that_is_gone_when_it_is_read(library: Library) -> None:
    library.pubmed.found = ["101", "999"]
    assert shown(library.pages()) == ["101"]
    with pytest.raises(ItemGone):
        library.item("999")


def test_key_is_sent_in_the_form_and_nowhere_else(library: Library) -> None:
    library.pubmed.api_key = KEY
    library.pages(key=KEY)
    assert {form["api_key"] for form in library.pubmed.forms} == {KEY}
    assert all(KEY not in request.path for request in library.api.requests)
    assert KEY not in repr(library.opening(key=KEY))
    with pytest.raises(CredentialsRejected, match="API key"):
        library.pages(key="another")
    with pytest.raises(ValidationError):
        PubMedSettings.model_validate({"search_query": "x", "api_key": KEY})


def test_requests_are_no_more_than_ncbi_allows(library: Library) -> None:
    began = time.monotonic()
    library.pages()
    library_without_key = time.monotonic() - began
    assert library_without_key >= 0.34


def answers(*replies: Reply) -> Any:
    left = list(replies)
    pubmed = PubMed({"101": article("101", "Article 101")})

    def answer(request: Request) -> Reply:
        return left.pop(0) if left else pubmed(request)

    return answer


CUT = Reply(200, b"<PubmedArticleSet><PubmedArticle>", missing_bytes=100)


@pytest.mark.parametrize("reply", [Reply(502), CUT, Reply(200, b'{"esearchresult"')])
def test_moment_of_failure_is_passed_over(reply: Reply) -> None:
    with stamina.set_testing(True, attempts=4, cap=True), scripted_server(answers(reply)) as api:
        assert shown(Library(PubMed(), api).pages()) == ["101"]


@pytest.mark.parametrize(
    ("reply", "error", "reason"),
    [
        (
            json_reply({"error": "API rate limit exceeded", "count": "4"}, 429, retry_after="2"),
            RateLimited,
            None,
        ),
        (Reply(503, headers={"retry-after": "9"}), RateLimited, None),
        (
            json_reply({"esearchresult": {"ERROR": "Search Backend failed: timed out"}}),
            ProviderUnavailable,
            None,
        ),
        (json_reply({"esearchresult": {"ERROR": "Invalid query"}}), ProviderRefused, "Invalid query"),
        (json_reply({"error": "Empty term and query_key"}, 400), ProviderRefused, "Empty term"),
        (json_reply([]), ProviderUnavailable, None),
        (json_reply({"esearchresult": {}}), ProviderUnavailable, None),
    ],
)
def test_refused_search_says_why(reply: Reply, error: type[Exception], reason: str | None) -> None:
    with scripted_server(answers(reply)) as api, pytest.raises(error, match=reason):
        Library(PubMed(), api).pages()


def test_wait_is_as_long_as_ncbi_says() -> None:
    limit = json_reply({"error": "API rate limit exceeded"}, 429, retry_after="2")
    with scripted_server(answers(limit)) as api, pytest.raises(RateLimited) as caught:
        Library(PubMed(), api).pages()
    assert caught.value.resume_at - datetime.now(UTC) <= timedelta(seconds=2)


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>101</PMID><Article><ArticleTitle>&j;</ArticleTitle>"
    b"</Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"
)


FILE = (
    b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><PubmedArticleSet><PubmedArticle><MedlineCitation>'
    b"<PMID>101</PMID><Article><ArticleTitle>Named &f;</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
    b"</PubmedArticleSet>"
)


def test_entities_neither_grow_nor_name_files() -> None:
    search = json_reply({"esearchresult": {"idlist": ["101"]}})
    with (
        scripted_server(answers(search, Reply(200, BOMB))) as api,
        pytest.raises(ProviderUnavailable, match="cannot be read"),
    ):
        Library(PubMed(), api).pages()
    with scripted_server(answers(search, Reply(200, FILE))) as api:
        (page,) = Library(PubMed(), api).pages()
    assert [entry.title for entry in page.entries] == ["Named &f;"]


@pytest.mark.parametrize("body", [b"<html>Sorry</html>", b'{"error":"x"}', b"", b"<PubmedArticleSet>"])
def test_answer_that_is_no_set_of_articles_is_no_empty_one(body: bytes) -> None:
    search = json_reply({"esearchresult": {"idlist": ["101"]}})
    with scripted_server(answers(search, Reply(200, body))) as api, pytest.raises(ProviderUnavailable):
        Library(PubMed(), api).pages()


def test_settings_are_checked() -> None:
    for wrong in (
        {},
        {"search_query": "  "},
        {"search_query": "x", "max_results": 0},
        {"search_query": "x", "max_results": 501},
        {"search_query": "x", "date_range_years": 3},
        {"search_query": "x", "contact_email": "nobody"},
    ):
        with pytest.raises(ValidationError):
            PubMedSettings.model_validate(wrong)
