"""The website as it is asked: by its rules, at its pace."""

import httpx2

from backend.connectors.providers.pace import Pace
from backend.connectors.providers.webscraper import WebSettings
from backend.connectors.providers.webscraper.names import host_of, key_of, tidy
from backend.connectors.providers.webscraper.position import Task
from backend.connectors.providers.webscraper.robots import Rules, read_rules
from backend.connectors.providers.webscraper.visit import Visit, visit
from backend.outside.fetch import Fetcher

#: Longer waits are the engine's, which holds no thread for them.
LONGEST_SLEEP = 2.0


class Site:
    """Requests to one website. Not shared between threads; close it."""

    def __init__(self, settings: WebSettings, *, allow_private_addresses: bool) -> None:
        self._settings = settings
        self._rules: dict[str, Rules] = {}
        self._pace = Pace()
        self.fetcher = Fetcher(allow_private_addresses=allow_private_addresses)

    def close(self) -> None:
        """Close the connections."""
        self.fetcher.close()

    def rules_of(self, url: httpx2.URL) -> Rules:
        """The rules of the origin of `url`, asked for once. Raises `ProviderUnavailable` or `RateLimited`."""
        origin = f"{url.scheme}://{host_of(url)}"
        if origin not in self._rules:
            self._rules[origin] = read_rules(self.fetcher, url)
        return self._rules[origin]

    def delay_of(self, url: httpx2.URL) -> float:
        """Seconds to leave between requests: what the settings say, or the site, whichever is longer."""
        return max(self._settings.rate_limit_delay, self.rules_of(url).delay)

    def wait(self, url: httpx2.URL) -> None:
        """Sleeps until the next request may be sent, or `LONGEST_SLEEP`."""
        self._pace.wait(min(self.delay_of(url), LONGEST_SLEEP))

    def visit(self, task: Task, *, is_start: bool = False) -> Visit:
        """Asks for a page; redirects are followed while they stay the same page, or from the start page anywhere.

        Raises `RateLimited` or `ProviderUnavailable`.
        """
        key = key_of(httpx2.URL(task.url))

        def may_follow(location: str) -> bool:
            target = tidy(location)
            if target is None or not self.rules_of(target).allows(target):
                return False
            return is_start or key_of(target) == key

        return visit(self.fetcher, task, with_files=self._settings.include_pdfs, may_follow=may_follow)
