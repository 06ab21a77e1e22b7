"""Websites and PubMed through the engine: from pages to documents, what changes, and what goes."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from backend.connectors.providers.contract import Opening
from backend.connectors.providers.provider import Provider, SourceSettings
from backend.connectors.providers.pubmed import PROVIDER as PUBMED
from backend.connectors.providers.webscraper import PROVIDER as WEB
from backend.sync.models import SyncRun
from tests.emulators.pubmed import PubMed, article
from tests.emulators.scripted import scripted_server
from tests.emulators.website import Website, html
from tests.flows.sync_connector.scene import Scene


def test_what_happens_to_pages_is_followed(scene: Scene) -> None:
    website = Website()
    website.put("/", html("Home", "/ports", "/gone", "/closed"))
    website.put("/ports", html("Ports", text="The gateway listens on port 7443"))
    website.put("/gone", html("Gone"))
    website.fail("/closed", 403)
    with scripted_server(website) as server:
        host = server.base_url.removeprefix("http://")
        settings = {"start_url": server.base_url, "rate_limit_delay": 0}
        run = sync(scene, WEB, settings)
        assert run.state == "completed_with_errors"
        assert scene.stored() == [f"{host}/", f"{host}/gone", f"{host}/ports"]
        (failure,) = scene.failures(run)
        assert (failure.external_id, failure.stage) == (f"{host}/closed", "fetch")
        assert "403" in failure.reason
        text = scene.text_of(f"{host}/ports")
        assert "The gateway listens on port 7443." in text
        assert "Menu" not in text

        website.put("/", html("Home", "/ports", "/new"))
        website.put("/ports", html("Ports", text="The gateway listens on port 8443"))
        website.put("/new", html("New"))
        website.fail("/gone", 410)
        run = sync(scene, WEB, settings)
        assert scene.stored() == [f"{host}/", f"{host}/new", f"{host}/ports"]
        assert "8443" in scene.text_of(f"{host}/ports")
        assert run.stored_count == 3

        run = sync(scene, WEB, settings)
        assert (run.stored_count, scene.stored()) == (0, [f"{host}/", f"{host}/new", f"{host}/ports"])


def test_site_that_asks_to_wait_is_waited_for(scene: Scene) -> None:
    website = Website()
    website.put("/", html("Home", "/a"))
    website.fail("/a", 429, retry_after="1")
    with scripted_server(website) as server:
        settings = {"start_url": server.base_url, "rate_limit_delay": 0}
        run = sync(scene, WEB, settings)
        assert run.state == "waiting"
        website.put("/a", html("A"))
        point_at(scene, WEB, settings, server.base_url)
        scene.work()
        assert scene.now(run).state == "completed"
        assert len(scene.stored()) == 2


def test_what_a_search_finds_is_followed(scene: Scene) -> None:
    pubmed = PubMed({"1": article("1", "One"), "2": article("2", "Two")})
    with scripted_server(pubmed) as server:
        settings = {"search_query": "anything"}
        run = sync(scene, PUBMED, settings, server.base_url)
        assert (run.state, scene.stored()) == ("completed", ["1", "2"])
        assert "Journal of Examples" in scene.text_of("1")
        pubmed.articles = {"2": article("2", "Two, corrected"), "3": article("3", "Three")}
        run = sync(scene, PUBMED, settings, server.base_url)
        assert (run.state, run.stored_count, scene.stored()) == ("completed", 2, ["1", "2", "3"])
        sync(scene, PUBMED, settings, server.base_url)
        run = sync(scene, PUBMED, settings, server.base_url)
        assert (run.state, scene.stored()) == ("completed", ["2", "3"])


def sync(scene: Scene, provider: Provider, settings: Mapping[str, Any], api_base: str = "") -> SyncRun:
    """A whole run."""
    point_at(scene, provider, settings, api_base)
    run = scene.start()
    scene.work()
    return scene.now(run)


def point_at(scene: Scene, provider: Provider, settings: Mapping[str, Any], api_base: str) -> None:
    """Have the scene's connector read this."""
    validated = provider.settings_model.model_validate(settings).model_dump()
    opening = Opening(validated, None, api_base, allow_private_addresses=True)
    stand_in = SimpleNamespace(
        type="github",
        auth_type="config",
        source_type="",
        settings_model=SourceSettings,
        api_base="",
        open_source=lambda _: provider.open_source(opening),
    )
    scene.handler = replace(scene.handler, providers={"github": cast(Provider, stand_in)})
