"""Web pages, against websites of the tests' own, over HTTP (`tests/emulators/website.py`)."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from backend.connectors.providers.contract import (
    CursorExpired,
    Entry,
    ItemGone,
    ItemUnreadable,
    Opening,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.webscraper import PROVIDER, WebSettings
from backend.documents.parsing.parser import parse
from tests.connectors.mirror import Mirror, read_pages, shown
from tests.emulators.scripted import Reply, Request, ScriptedServer, scripted_server
from tests.emulators.website import Website, html

HTML = {"content-type": "text/html"}


@dataclass
class Site:
    """A website and the server that answers for it."""

    website: Website
    server: ScriptedServer

    @property
    def host(self) -> str:
        return self.server.base_url.removeprefix("http://")

    def opening(self, **settings: Any) -> Opening:
        chosen = {"start_url": self.server.base_url + "/", "rate_limit_delay": 0, **settings}
        validated = PROVIDER.settings_model.model_validate(chosen).model_dump()
        return Opening(validated, None, "", allow_private_addresses=True)

    def pages(self, cursor: Any = None, **settings: Any) -> list[Page]:
        return read_pages(PROVIDER, self.opening(**settings), cursor)

    def mirror(self, **settings: Any) -> Mirror:
        return Mirror(PROVIDER, self.opening(**settings))

    def read(self, path: str) -> SourceItem:
        locator = {"url": self.server.base_url + path}
        with closing(PROVIDER.open_source(self.opening())) as source:
            return source.read(Entry(f"{self.host}{path}", path, None, None, locator))

    def shown(self, **settings: Any) -> list[str]:
        """Paths of the documents of a full pass, in order."""
        return self.paths(shown(self.pages(**settings)))

    def paths(self, external_ids: Any) -> list[str]:
        return [external_id.removeprefix(self.host) for external_id in external_ids]

    def asked(self) -> list[str]:
        """Paths asked for since the last time, without robots.txt and sitemap."""
        paths = [p for p in self.server.paths() if not p.startswith(("/robots.txt", "/sitemap"))]
        self.server.requests.clear()
        return paths


@pytest.fixture
def site() -> Iterator[Site]:
    website = Website()
    website.put("/", html("Home", "/a", "/b"))
    website.put("/a", html("A", "/a/deep"))
    website.put("/b", html("B", "/"))
    website.put("/a/deep", html("Deep"))
    with scripted_server(website) as server:
        yield Site(website, server)


def by_pages(pages: list[Page]) -> dict[str, SourceItem]:
    return {entry.external_id: entry.listed for page in pages for entry in page.entries}


def test_sync_follows_what_happens_to_pages(site: Site) -> None:
    website, mirror = site.website, site.mirror()
    mirror.sync()
    assert sorted(site.paths(mirror.documents)) == ["/", "/a", "/a/deep", "/b"]
    assert site.asked() == ["/", "/a", "/b", "/a/deep"]

    mirror.sync()
    assert (mirror.reads, mirror.full_passes) == ([], 1)
    requests = [r for r in site.server.requests if not r.path.startswith(("/robots.txt", "/sitemap"))]
    assert all("if-none-match" in request.headers for request in requests)
    assert sorted(site.asked()) == ["/", "/a", "/a/deep", "/b"]

    website.put("/a", html("A", "/a/deep", "/a/new", text="Changed"))
    website.put("/a/new", html("New"))
    website.fail("/b", 410)
    mirror.sync()
    assert sorted(mirror.reads) == ["A", "New"]
    assert sorted(site.paths(mirror.documents)) == ["/", "/a", "/a/deep", "/a/new"]
    assert mirror.full_passes == 1

    website.redirect("/a/new", "/elsewhere")
    website.put("/elsewhere", html("New"))
    website.put("/a/deep", html("Deep", head="<meta name=robots content=noindex>"))
    mirror.sync()
    assert sorted(site.paths(mirror.documents)) == ["/", "/a", "/elsewhere"]


def test_page_is_deleted_when_it_was_missing_twice(site: Site) -> None:
    """A site that is being put up anew answers 404 for a moment."""
    mirror = site.mirror().sync()
    page = site.website.answers.pop("/b")
    assert "/b" in site.paths(mirror.sync().documents)
    site.website.answers["/b"] = page
    mirror.sync()
    del site.website.answers["/b"]
    assert "/b" in site.paths(mirror.sync().documents)
    assert "/b" not in site.paths(mirror.sync().documents)


def test_page_that_nothing_leads_to_goes_with_full_passes(site: Site) -> None:
    mirror = site.mirror().sync()
    site.website.put("/", html("Home", "/a"))
    assert "/b" in site.paths(mirror.sync().documents)
    for _ in range(2):
        mirror.cursor = None
        mirror.sync()
    assert sorted(site.paths(mirror.documents)) == ["/", "/a", "/a/deep"]


def test_site_without_validators_is_read_and_found_unchanged(site: Site) -> None:
    site.website.has_validators = False
    mirror = site.mirror().sync()
    assert mirror.sync().reads == []
    site.website.put("/b", html("B", text="Changed"))
    assert mirror.sync().reads == ["B"]


def test_what_changes_around_the_text_is_no_change(site: Site) -> None:
    def with_token(request: Request) -> Reply:
        token = len(site.server.requests)
        page = html("B", head=f"<meta name=csrf content={token}>").replace(
            "Menu", f"<a href='#{token}'>Menu {token}</a>"
        )
        return Reply(200, page.encode(), {"content-type": "text/html"})

    site.website.answers["/b"] = with_token
    mirror = site.mirror().sync()
    assert mirror.sync().reads == []


PAGE = """<!doctype html><html lang="en"><head><title>Guide — Site</title>
<meta property="og:title" content="Guide to sorting"><meta name="author" content="Ada">
<meta name="description" content="How to sort"><meta property="article:published_time" content="2025-03-04T05:06:07Z">
<meta property="article:modified_time" content="2025-04-05"><script>var hidden = 1</script></head>
<body><header>Site header</header><nav><a href="/x">Navigation</a></nav>
<main><nav>Breadcrumbs</nav><h1>Sorting<a class="headerlink" href="#sorting">¶</a></h1>
<p>See <a href="/other">the other page</a> first.</p><h2>Ways</h2><ul><li>Merge</li><li>Quick</li></ul>
<table><tr><th>Way</th><th>Cost</th></tr><tr><td>Merge</td><td>n log n</td></tr></table>
<pre><code class="language-python">def sort(items):
    return sorted(items)
</code></pre><pre><input type=checkbox><code>import fs from 'fs'</code><code>require('fs')</code></pre><aside>Advertisement</aside><div hidden>Secret</div></main>
<footer>Imprint</footer></body></html>"""


def test_page_is_its_text_with_headings_lists_tables_and_code(site: Site) -> None:
    site.website.put("/guide/sorting.html", PAGE)
    item = site.read("/guide/sorting.html")
    parsed = parse(item.body, file_name=item.file_name, mime_type=item.mime_type)
    assert (item.title, item.kind, item.author) == ("Guide to sorting", "page", "Ada")
    assert item.url == f"{site.server.base_url}/guide/sorting.html"
    assert item.created_at == datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert item.updated_at == datetime(2025, 4, 5, tzinfo=UTC)
    assert item.metadata == {
        "site": site.host,
        "folder_path": "guide",
        "file_type": "html",
        "language": "en",
        "description": "How to sort",
    }
    for kept in (
        "# Sorting\n",
        "See the other page first.",
        "## Ways",
        "- Merge",
        "def sort(items):\n    return sorted(items)",
        "import fs from 'fs'\nrequire('fs')",
    ):
        assert kept in parsed.text
    assert any(line.startswith("|") and "n log n" in line for line in parsed.text.splitlines())
    for dropped in (
        "Site header",
        "Navigation",
        "Breadcrumbs",
        "¶",
        "Advertisement",
        "Secret",
        "Imprint",
        "hidden =",
    ):
        assert dropped not in parsed.text


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<meta charset=iso-8859-1><main>Grüße</main>".encode("latin-1"), "text/html"),
        ("<main>Grüße</main>".encode("latin-1"), "text/html; charset=ISO-8859-1"),
        ("<main>Grüße</main>".encode(), "text/html"),
        ("﻿<main>Grüße</main>".encode(), "text/html; charset=latin-1"),
        ("<main>Grüße</main>".encode(), "text/html; charset=no-such-thing"),
    ],
)
def test_characters_are_read_as_they_were_written(site: Site, body: bytes, content_type: str) -> None:
    site.website.put("/page", body, content_type)
    assert "Grüße" in parse(site.read("/page").body, file_name="page.html").text


def test_documents_are_files_and_pictures_are_not_asked_for(site: Site) -> None:
    links = (
        "/paper.pdf",
        "/download?id=7",
        "/notes.md",
        "/logo.svg",
        "/app.js",
        "/film",
        "mailto:a@b.example",
    )
    site.website.put("/", html("Home", *links))
    site.website.put(
        "/paper.pdf", b"%PDF-1.4 paper", "application/pdf", last_modified="Wed, 04 Mar 2026 05:06:07 GMT"
    )
    site.website.put(
        "/download?id=7", b"PK\3\4", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    )
    site.website.put("/notes.md", "# Notes", "text/plain; charset=utf-8")
    site.website.put("/film", b"\0" * 100, "video/mp4")
    items = by_pages(site.pages())
    assert site.asked() == ["/", "/paper.pdf", "/download?id=7", "/notes.md", "/film"]
    assert sorted(site.paths(items)) == ["/", "/download?id=7", "/notes.md", "/paper.pdf"]
    paper = items[f"{site.host}/paper.pdf"]
    assert (paper.title, paper.mime_type, paper.kind) == ("paper.pdf", "application/pdf", "document")
    assert paper.updated_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert items[f"{site.host}/download?id=7"].file_name == "download.docx"
    assert items[f"{site.host}/notes.md"].mime_type == "text/markdown; charset=utf-8"
    assert sorted(site.shown(include_pdfs=False)) == ["/", "/notes.md"]
    assert "/paper.pdf" not in site.asked()


def test_only_the_site_and_hosts_that_belong_to_it_are_asked(site: Site) -> None:
    with scripted_server(
        Website({"/": Reply(200, b"<main>Other</main>", {"content-type": "text/html"})})
    ) as other:
        site.website.put("/", html("Home", other.base_url + "/", "/a"))
        assert "/a" in site.shown()
        assert other.requests == []
        host = other.base_url.removeprefix("http://")
        assert f"{host}/" in site.shown(allowed_hosts=[host])


def test_start_page_may_lead_to_another_host(site: Site) -> None:
    with scripted_server(
        Website({"/go": Reply(302, b"", {"location": site.server.base_url + "/b"})})
    ) as short:
        assert set(site.shown(start_url=f"{short.base_url}/go")) == {"/b", "/", "/a", "/a/deep"}


def test_depth_ends_the_walk(site: Site) -> None:
    for number in range(9):
        site.website.put(f"/level/{number}", html(str(number), f"/level/{number + 1}"))
    settings = {"start_url": f"{site.server.base_url}/level/0", "max_depth": 3}
    assert site.shown(**settings) == ["/level/0", "/level/1", "/level/2", "/level/3"]


def test_endless_calendar_ends_with_the_pages(site: Site) -> None:
    def month(request: Request) -> Reply:
        number = int(request.path.rpartition("=")[2])
        links = [f"/calendar?month={number + step}" for step in (-1, 1, 12)]
        return Reply(200, html(f"Month {number}", *links).encode(), {"content-type": "text/html"})

    site.website.answers["/calendar"] = month
    site.website.put("/", html("Home", "/calendar?month=0", "/a", "/b"))
    found = site.shown(max_pages=20, max_depth=5)
    assert len(found) == 20
    assert found[:4] == ["/", "/calendar?month=0", "/a", "/b"]
    assert len(site.asked()) == 20


def test_pages_that_are_not_kept_end_too(site: Site) -> None:
    def hall(request: Request) -> Reply:
        return Reply(302, b"", {"location": f"{request.path}x"})

    site.website.answers["/hall"] = hall
    site.website.put("/", html("Home", *(f"/dead/{number}" for number in range(500))))
    assert site.shown(max_pages=10) == ["/"]
    assert len(site.asked()) == 40


def test_wrong_relative_links_do_not_multiply(site: Site) -> None:
    site.website.answers["/"] = lambda _request: Reply(
        200, html("Same", "more/", "/a").encode(), {"content-type": "text/html"}
    )
    for depth in range(1, 10):
        site.website.answers["/" + "more/" * depth] = site.website.answers["/"]
    assert sorted(site.shown(max_depth=5)) == ["/", "/a", "/a/deep", "/more", "/more/more"]


def test_same_page_under_many_addresses_is_one(site: Site) -> None:
    site.website.put(
        "/",
        html(
            "Home",
            "/a",
            "/a/",
            "/a#part",
            "/a?utm_source=x&gclid=1",
            "/a?b=1&c=2",
            "/a?c=2&b=1",
            "/./x/../a",
            "/a;jsessionid=1",
        ),
    )
    assert site.shown() == ["/", "/a", "/a?b=1&c=2", "/a/deep"]


def test_canonical_address_is_the_page(site: Site) -> None:
    site.website.put("/", html("Home", "/print/a", "/b?sort=up", "/b?sort=down", "/x", "/y", "/z"))
    site.website.put("/print/a", html("A", head="<link rel=canonical href='/a'>"))
    site.website.put("/b", html("B", head="<link rel=canonical href='/b'>"))
    # Two that each name the other are one page; one that names the home page, as all may, stays itself.
    site.website.put("/x", html("X", head="<link rel=canonical href='/y'>"))
    site.website.put("/y", html("Y", head="<link rel=canonical href='/x'>"))
    site.website.put("/z", html("Z", head="<link rel=canonical href='/'>"))
    assert sorted(site.shown()) == ["/", "/a", "/a/deep", "/b", "/y", "/z"]


def test_redirects_within_the_site_lead_to_one_page(site: Site) -> None:
    site.website.put("/", html("Home", "/old", "/older", "/round", "/folder", "/away"))
    site.website.redirect("/old", "/a")
    site.website.redirect("/older", "/old")
    site.website.redirect("/round", "/round2")
    site.website.redirect("/round2", "/round")
    site.website.redirect("/folder", "/folder/")
    site.website.put("/folder/", html("Folder"))
    site.website.redirect("/away", "http://169.254.169.254/latest/meta-data/")
    assert sorted(site.shown()) == ["/", "/a", "/a/deep", "/folder"]


def test_robots_txt_is_kept(site: Site) -> None:
    site.website.robots(
        "User-agent: *", "Disallow: /a", "Allow: /a/deep$", "", "User-agent: otherbot", "Disallow: /"
    )
    site.website.put("/", html("Home", "/a", "/a/deep", "/a/deeper", "/b"))
    assert site.shown() == ["/", "/a/deep", "/b"]
    assert site.asked() == ["/", "/a/deep", "/b"]
    site.website.robots("User-agent: SecondBrain", "Disallow: /b", "", "User-agent: *", "Disallow: /")
    assert "/b" not in site.shown()
    with pytest.raises(ItemUnreadable, match="robots"):
        site.read("/b")


def test_page_that_robots_txt_forbids_now_goes(site: Site) -> None:
    mirror = site.mirror().sync()
    site.website.robots("User-agent: *", "Disallow: /a/")
    assert sorted(site.paths(mirror.sync().documents)) == ["/", "/a", "/b"]


def test_site_that_forbids_everything_is_left_alone(site: Site) -> None:
    site.website.robots("User-agent: *", "Disallow: /")
    with pytest.raises(ProviderRefused, match=r"robots\.txt"):
        site.pages()
    assert site.asked() == []


@pytest.mark.parametrize("status", [500, 502])
def test_robots_txt_that_cannot_be_had_forbids_everything_for_now(site: Site, status: int) -> None:
    site.website.fail("/robots.txt", status)
    with pytest.raises(ProviderUnavailable, match=r"robots\.txt"):
        site.pages()
    assert site.asked() == []


def test_pages_say_themselves_whether_they_are_kept_and_followed(site: Site) -> None:
    site.website.put("/", html("Home", "/noindex", "/nofollow", "/none", "/header", "/others"))
    site.website.put(
        "/noindex", html("N", "/from-noindex", head="<meta name=robots content='noindex, follow'>")
    )
    site.website.put("/nofollow", html("F", "/from-nofollow", head="<meta name=ROBOTS content=NOFOLLOW>"))
    site.website.put("/none", html("0", "/from-none", head="<meta name=secondbrain content=none>"))
    site.website.put("/header", html("H", "/from-header"), x_robots_tag="noindex, nofollow")
    site.website.put("/others", html("O", "/from-others"), x_robots_tag="otherbot: noindex, nofollow")
    site.website.put(
        "/from-noindex", html("reached").replace("<ul>", "<a rel='nofollow' href='/b'>b</a><ul>")
    )
    site.website.put("/from-others", html("reached too"))
    assert sorted(site.shown()) == ["/", "/from-noindex", "/from-others", "/nofollow", "/others"]
    assert {"/from-nofollow", "/from-none", "/from-header", "/b"}.isdisjoint(site.asked())


def sitemap(*entries: str) -> str:
    return (
        '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
        + "".join(f"<url>{entry}</url>" for entry in entries)
        + "</urlset>"
    )


def test_sitemap_lists_what_nothing_links_to(site: Site) -> None:
    base = site.server.base_url
    site.website.put("/hidden", html("Hidden"))
    site.website.put("/packed", html("Packed"))
    site.website.put(
        "/sitemap.xml",
        sitemap(f"<loc>{base}/hidden</loc><lastmod>2026-01-02</lastmod>", "<loc>http://other.example/</loc>"),
        "text/xml",
    )
    items = by_pages(site.pages())
    assert f"{site.host}/hidden" in items
    assert items[f"{site.host}/hidden"].updated_at == datetime(2026, 1, 2, tzinfo=UTC)
    index = f"<sitemapindex><sitemap><loc>{base}/packed.xml.gz</loc></sitemap><sitemap><loc>{base}/index.xml</loc></sitemap></sitemapindex>"
    site.website.put("/index.xml", index, "text/xml")
    site.website.put(
        "/packed.xml.gz", gzip.compress(sitemap(f"<loc>{base}/packed</loc>").encode()), "application/gzip"
    )
    site.website.robots(f"Sitemap: {base}/index.xml")
    found = site.shown()
    assert "/packed" in found
    assert "/hidden" not in found


@pytest.mark.parametrize(
    "body",
    [
        b"<html>not a sitemap",
        b"",
        gzip.compress(bytes(100_000))[:-20],
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><urlset><url><loc>/&b;</loc></url></urlset>',
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><urlset><url><loc>&f;</loc></url></urlset>',
    ],
)
def test_sitemap_that_is_none_is_passed_over(site: Site, body: bytes) -> None:
    site.website.put("/sitemap.xml", body, "application/xml")
    assert sorted(site.shown()) == ["/", "/a", "/a/deep", "/b"]
    assert len(site.asked()) == 4


def test_chosen_paths_come_first(site: Site) -> None:
    site.website.put("/", html("Home", *(f"/news/{number}" for number in range(30)), "/docs"))
    for number in range(30):
        site.website.put(f"/news/{number}", html(f"News {number}"))
    site.website.put("/docs", html("Docs", "/docs/install"))
    site.website.put("/docs/install", html("Install"))
    found = site.shown(max_pages=10, priority_paths=["docs"])
    assert found[:3] == ["/", "/docs", "/docs/install"]
    assert len(found) == 10


def test_pass_goes_on_from_every_cursor_with_exactly_the_rest(site: Site) -> None:
    for number in range(35):
        site.website.put(
            f"/list/{number}", html(f"Page {number}", f"/list/{number + 1}", f"/list/{number * 2}")
        )
    site.website.put("/", html("Home", *(f"/list/{number}" for number in range(0, 35, 5))))
    settings = {"max_depth": 5}
    pages = site.pages(**settings)
    everything = shown(pages)
    assert len(everything) == len(set(everything)) > 25
    assert len(pages) >= 3
    for number, page in enumerate(pages[:-1], start=1):
        assert page.is_full
        assert shown(site.pages(page.cursor, **settings)) == shown(pages[number:])
        assert site.pages(page.cursor, **settings)[-1].cursor == pages[-1].cursor


def test_other_settings_begin_anew_but_not_another_pace(site: Site) -> None:
    cursor = site.pages()[-1].cursor
    site.pages(cursor, rate_limit_delay=0.01)
    for changed in ({"max_depth": 2}, {"max_pages": 60}, {"include_pdfs": False}, {"priority_paths": ["/a"]}):
        with pytest.raises(CursorExpired):
            site.pages(cursor, **changed)
    for strange in (
        {},
        {"version": 0},
        {**cursor, "left": [[]], "is_over": False},
        {**cursor, "documents": 7},
    ):
        with pytest.raises(CursorExpired):
            site.pages(strange or {"version": 0})


def test_limit_of_pages_holds_when_the_site_grows(site: Site) -> None:
    for number in range(20):
        site.website.put(f"/n/{number}", html(f"N {number}"))
    site.website.put("/", html("Home", *(f"/n/{number}" for number in range(9))))
    mirror = site.mirror(max_pages=10).sync()
    assert len(mirror.documents) == 10
    site.website.put("/", html("Home", *(f"/n/{number}" for number in range(20))))
    site.website.fail("/n/0", 410)
    mirror.sync()
    assert len(mirror.documents) == 10
    assert f"{site.host}/n/0" not in mirror.documents


@pytest.mark.parametrize(("status", "reason"), [(401, "401"), (403, "403"), (451, "451"), (400, "400")])
def test_page_that_is_closed_is_a_failure_of_its_own(site: Site, status: int, reason: str) -> None:
    site.website.fail("/a", status)
    pages = site.pages()
    assert sorted(site.paths(shown(pages))) == ["/", "/a", "/b"]
    (entry,) = (entry for page in pages for entry in page.entries if entry.external_id.endswith("/a"))
    with closing(PROVIDER.open_source(site.opening())) as source:
        with pytest.raises(ItemUnreadable, match=reason):
            source.read(entry)
        with pytest.raises(ItemUnreadable, match=reason):
            source.read(Entry(entry.external_id, entry.title, entry.url, None, entry.locator))


def test_page_that_is_too_large_is_a_failure_of_its_own(site: Site) -> None:
    site.website.put("/a", b"<main>" + b"x" * (9 * 1024 * 1024))
    site.website.put("/b", gzip.compress(bytes(9 * 1024 * 1024)), content_encoding="gzip")
    pages = site.pages()
    refused = [entry for page in pages for entry in page.entries if isinstance(entry.listed, ItemUnreadable)]
    assert sorted(site.paths(entry.external_id for entry in refused)) == ["/a", "/b"]
    assert "8 MiB" in str(refused[0].listed)


def test_page_that_fails_is_asked_again_and_hinders_no_other(site: Site) -> None:
    site.website.fail("/a", 500)
    pages = site.pages()
    assert sorted(site.paths(shown(pages))) == ["/", "/b"]
    (failure,) = (failure for page in pages for failure in page.failures)
    assert (failure.external_id, failure.stage) == (f"{site.host}/a", "list")
    assert "500" in failure.reason
    assert site.asked().count("/a") == 3


def test_page_that_fails_once_is_there_in_the_end(site: Site) -> None:
    page = site.website.answers["/a"]
    answers = [Reply(502), Reply(200, b"<main>cut", HTML, missing_bytes=50)]
    assert isinstance(page, Reply)
    site.website.answers["/a"] = lambda _request: answers.pop() if answers else page
    assert sorted(site.shown()) == ["/", "/a", "/a/deep", "/b"]


def test_site_that_does_not_answer_is_not_taken_for_empty(site: Site) -> None:
    links = [f"/p/{number}" for number in range(10)]
    site.website.put("/", html("Home", *links))
    for link in links:
        site.website.fail(link, 500)
    with pytest.raises(ProviderUnavailable):
        site.pages()
    with closing(PROVIDER.open_source(site.opening())) as source:
        pages = source.pages(None)
        page = next(pages)
        assert site.paths(shown([page])) == ["/"]
        with pytest.raises(ProviderUnavailable):
            next(pages)
    for link in links:
        site.website.put(link, html(link))
    assert sorted(site.paths(shown(site.pages(page.cursor)))) == sorted(links)


@pytest.mark.parametrize("status", [404, 410, 403])
def test_start_page_that_cannot_be_had_ends_the_pass(site: Site, status: int) -> None:
    cursor = site.pages()[-1].cursor
    site.website.fail("/", status)
    for since in (None, cursor):
        with pytest.raises(ProviderRefused, match=str(status)):
            site.pages(since)


@pytest.mark.parametrize("status", [429, 503])
def test_site_that_asks_to_wait_is_waited_for_without_losing_a_page(site: Site, status: int) -> None:
    page = site.website.answers["/b"]
    site.website.fail("/b", status, retry_after="30")
    with closing(PROVIDER.open_source(site.opening())) as source:
        pages = source.pages(None)
        page_before = next(pages)
        with pytest.raises(RateLimited) as limit:
            next(pages)
    wait = limit.value.resume_at - datetime.now(UTC)
    assert timedelta(seconds=20) < wait <= timedelta(seconds=30)
    assert site.paths(shown([page_before])) == ["/", "/a"]
    site.website.answers["/b"] = page
    assert sorted(site.paths(shown(site.pages(page_before.cursor)))) == ["/a/deep", "/b"]


def drive(site: Site, **settings: Any) -> tuple[list[Page], int, Exception | None]:
    """What an engine sees that comes back after each wait: pages, waits, and how it ended."""
    pages: list[Page] = []
    waits = 0
    while True:
        cursor = pages[-1].cursor if pages else None
        with closing(PROVIDER.open_source(site.opening(**settings))) as source:
            try:
                pages += source.pages(cursor)  # A list takes what comes before an error, too.
                return pages, waits, None
            except RateLimited:
                waits += 1
            except ProviderUnavailable as error:
                return pages, waits, error


def test_page_that_always_asks_to_wait_is_given_up(site: Site) -> None:
    site.website.fail("/b", 429, retry_after="1")
    pages, waits, error = drive(site)
    assert error is None
    assert waits == 3
    assert sorted(site.paths(shown(pages))) == ["/", "/a", "/a/deep"]
    assert [failure.external_id for page in pages for failure in page.failures] == [f"{site.host}/b"]


def test_site_that_always_asks_to_wait_is_given_up(site: Site) -> None:
    for path in ("/", "/a", "/b"):
        site.website.fail(path, 503)
    pages, waits, error = drive(site)
    assert isinstance(error, ProviderUnavailable)
    assert waits == 5
    assert shown(pages) == []


def test_long_delay_between_requests_holds_no_thread(site: Site) -> None:
    site.website.robots("User-agent: *", "Crawl-delay: 30")
    with closing(PROVIDER.open_source(site.opening())) as source:
        pages = source.pages(None)
        first = next(pages)
        assert site.paths(shown([first])) == ["/"]
        with pytest.raises(RateLimited) as limit:
            next(pages)
    assert timedelta(seconds=25) < limit.value.resume_at - datetime.now(UTC) <= timedelta(seconds=30)
    with closing(PROVIDER.open_source(site.opening())) as source:
        pages = source.pages(first.cursor)
        assert shown([next(pages)]) == []
        with pytest.raises(RateLimited):
            next(pages)
    past = {**first.cursor, "resume_at": datetime.now(UTC).isoformat()}
    with closing(PROVIDER.open_source(site.opening())) as source:
        assert site.paths(shown([next(source.pages(past))])) == ["/a"]


def test_requests_leave_time_between_them(site: Site) -> None:
    began = datetime.now(UTC)
    site.pages(rate_limit_delay=0.1)
    assert datetime.now(UTC) - began >= timedelta(seconds=0.4)


def test_item_is_read_from_its_stored_locator(site: Site) -> None:
    for entry in (entry for page in site.pages() for entry in page.entries):
        stored = Entry(entry.external_id, entry.title, entry.url, entry.revision, entry.locator)
        with closing(PROVIDER.open_source(site.opening())) as source:
            assert source.read(stored) == source.read(entry)
    del site.website.answers["/a"]
    with pytest.raises(ItemGone):
        site.read("/a")
    site.website.redirect("/a", "/b")
    with pytest.raises(ItemGone):
        site.read("/a")
    site.website.fail("/a", 503)
    with pytest.raises(RateLimited):
        site.read("/a")
    site.website.fail("/a", 500)
    with pytest.raises(ProviderUnavailable):
        site.read("/a")


def test_private_addresses_are_refused_unless_the_installation_allows_them(site: Site) -> None:
    allowed = site.opening()
    opening = Opening(allowed.settings, None, "", allow_private_addresses=False)
    with pytest.raises(ProviderRefused, match="Port"):
        read_pages(PROVIDER, opening, None)
    private = {**allowed.settings, "start_url": "http://127.0.0.1/"}
    with pytest.raises(ProviderRefused, match="private network"):
        read_pages(PROVIDER, Opening(private, None, ""), None)
    assert site.server.requests == []


def test_settings_are_checked() -> None:
    assert WebSettings(start_url="example.com").start_url == "https://example.com"
    assert WebSettings(start_url=" http://Example.com/Docs#x ").start_url == "http://example.com/Docs"
    assert WebSettings(start_url="example.com", priority_paths=["docs"]).priority_paths == ["/docs"]
    for wrong in (
        {"start_url": ""},
        {"start_url": "ftp://example.com"},
        {"start_url": "http://user:pass@example.com"},
        {"start_url": "example.com", "max_depth": 6},
        {"start_url": "example.com", "max_pages": 9},
        {"start_url": "example.com", "max_pages": 2001},
        {"start_url": "example.com", "rate_limit_delay": -1},
        {"start_url": "example.com", "allowed_hosts": ["http://example.org"]},
    ):
        with pytest.raises(ValidationError):
            WebSettings.model_validate(wrong)
