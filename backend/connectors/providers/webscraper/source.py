"""Walks a website from its start page, and reads its pages.

A full pass begins with nothing but the start page. A pass of changes asks again for everything the last one found, with
what the site gave to recognise it by, so that unchanged pages cost an empty answer; and for what new links and the
sitemap lead to. Only a full pass shows that nothing leads to a page any more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx2

from backend.connectors.providers.contract import (
    JSON,
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
from backend.connectors.providers.conversation import within_reason
from backend.connectors.providers.webscraper import WebSettings
from backend.connectors.providers.webscraper.items import failure_of
from backend.connectors.providers.webscraper.names import tidy
from backend.connectors.providers.webscraper.position import Position, Task, choice_of
from backend.connectors.providers.webscraper.site import LONGEST_SLEEP, Site
from backend.connectors.providers.webscraper.walk import Shown, Walk

#: How often one address is asked for that does not answer, before it is a failure.
TRIES: Final = 3
#: Addresses in a row that do not answer: then it is the site.
UNAVAILABLE_IN_A_ROW: Final = 3
#: Times in a row that a site may ask to wait.
WAITS_IN_A_ROW: Final = 5


class WebSource:
    """A `Source` for one website. Loaded by workers only."""

    def __init__(self, opening: Opening) -> None:
        """`opening.settings`: as `WebSettings` has validated them."""
        self._settings = WebSettings.model_validate(opening.settings)
        start = tidy(self._settings.start_url)
        if start is None:
            raise ProviderRefused("The start page is not a web address.")
        self._start = start
        # How fast it is asked does not change what it shows.
        self._choice = choice_of(self._settings.model_dump(exclude={"rate_limit_delay"}).items())
        self._site = Site(self._settings, allow_private_addresses=opening.allow_private_addresses)

    def close(self) -> None:
        """Let go of connections."""
        self._site.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`."""
        at = (
            Position(self._choice, self._settings.max_pages) if since is None else Position.from_cursor(since)
        )
        if at.choice != self._choice:
            raise CursorExpired
        walk = Walk(self._site, self._settings, self._start, at)
        if since is None or at.is_over:
            walk.begin(at.next_pass() if since is not None else {})
        silent = 0
        while (task := at.take()) is not None:
            try:
                pause = self._pause(at, task)
                if pause is None:
                    walk.look(task)
                    silent = at.waits = 0
            except RateLimited as limit:
                at.waits += 1
                pause = limit.resume_at
            except ProviderUnavailable as error:
                silent += 1
                if silent >= UNAVAILABLE_IN_A_ROW or not at.is_started:
                    if not walk.shown.is_empty:
                        at.put_back(task)
                        yield walk.shown.to_page(at)
                    raise
                self._try_later(walk, at, task, error.message)
            if pause is not None:
                yield from self._interrupt(walk, at, task, pause)
            if walk.shown.is_enough:
                yield walk.shown.to_page(at)
                walk.shown = Shown()
        at.is_over = True
        yield walk.shown.to_page(at)

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`."""
        if isinstance(entry.listed, SourceItem):
            return entry.listed
        if isinstance(entry.listed, Exception):
            raise entry.listed
        changed = entry.locator.get("changed")
        task = Task(str(entry.locator["url"]), 0, str(changed) if changed else None)
        url = httpx2.URL(task.url)
        if not self._site.rules_of(url).allows(url):
            raise ItemUnreadable("The site's robots.txt does not allow to read it.")
        self._site.wait(url)
        found = self._site.visit(task)
        if found.item is not None:
            return replace(found.item, external_id=entry.external_id)
        if found.outcome == "refused":
            raise ItemUnreadable(found.reason)
        raise ItemGone

    def _pause(self, at: Position, task: Task) -> datetime | None:
        """Leaves the time between requests that is asked for; if that is long, says when to go on instead."""
        url, now = httpx2.URL(task.url), datetime.now(UTC)
        if at.resume_at is not None and at.resume_at > now + timedelta(seconds=LONGEST_SLEEP):
            return at.resume_at
        delay = self._site.delay_of(url)
        self._site.wait(url)
        at.resume_at = within_reason(now + timedelta(seconds=delay)) if delay > LONGEST_SLEEP else None
        return None

    def _interrupt(self, walk: Walk, at: Position, task: Task, pause: datetime) -> Iterator[Page]:
        """Shows what there is, and raises what lets the job be put off."""
        if at.waits > WAITS_IN_A_ROW:
            # Nothing is shown that the engine would take for progress: it tries ever more rarely, and gives up.
            if not walk.shown.is_empty:
                at.put_back(task)
                yield walk.shown.to_page(at)
            raise ProviderUnavailable(f"{httpx2.URL(task.url).host} asks to wait again and again.")
        if at.resume_at == pause or not at.is_started:
            at.put_back(task)
        else:
            # Others first: perhaps it is this page, not the site.
            self._try_later(walk, at, task, "The site asks to wait each time this page is asked for.")
        yield walk.shown.to_page(at)
        raise RateLimited(pause)

    def _try_later(self, walk: Walk, at: Position, task: Task, reason: str) -> None:
        task.tries += 1
        if task.tries < TRIES:
            at.put_back(task, at_end=True)
            return
        walk.shown.failures.append(failure_of(httpx2.URL(task.url), reason))
        walk.keep(task)


def open_source(opening: Opening) -> WebSource:
    """Reads one website."""
    return WebSource(opening)
