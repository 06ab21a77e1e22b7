"""Slack through the engine: from channels to documents, what changes, and an app that Slack keeps short."""

from collections.abc import Iterator

import pytest
import stamina

from backend.connectors.providers.contract import Credentials
from backend.connectors.providers.slack import SlackSettings
from backend.connectors.providers.slack.source import SlackSource
from backend.sync.models import SyncRun
from tests.emulators.scripted import scripted_server
from tests.emulators.slack_workspace import TOKEN, Workspace, at, day
from tests.flows.sync_connector.scene import Scene


@pytest.fixture
def slack() -> Iterator[Workspace]:
    workspace = Workspace(users=[{"id": "U1", "name": "ada", "profile": {"display_name": "Ada"}}])
    workspace.add_channel("C01", "engineering")
    with scripted_server(workspace) as running, stamina.set_testing(True, attempts=2, cap=True):
        workspace.base_url = running.base_url
        yield workspace


def test_what_people_write_edit_and_delete_is_followed(scene: Scene, slack: Workspace) -> None:
    slack.post("C01", at(3), "The gateway listens on port 7443.")
    slack.post("C01", at(2), "Lunch?")
    slack.post("C01", at(1, 1), "Who is on call?")
    slack.post("C01", at(1, 2), "Ada is.", thread_ts=at(1, 1))
    slack.share("C01", "F1", "plan.txt", b"The plan has three steps.", at(3, 9))
    run = sync(scene, slack)
    thread = f"C01:thread:{at(1, 1)}"
    days = [f"C01:day:{day(3)}", f"C01:day:{day(2)}"]
    assert (run.state, scene.stored()) == ("completed", sorted([*days, thread, "file:F1"]))
    assert "Ada is." in scene.text_of(thread)

    slack.edit("C01", at(3), "The gateway listens on port 8443.")
    slack.delete("C01", at(2))
    slack.edit("C01", at(1, 2), "Ada was.")
    run = sync(scene, slack)
    assert run.state == "completed"
    assert scene.stored() == sorted([days[0], thread, "file:F1"])
    assert "8443" in scene.text_of(days[0])
    assert "Ada was." in scene.text_of(thread)
    assert run.stored_count == 2


def test_an_app_that_slack_keeps_short_ends_its_run_all_the_same(scene: Scene, slack: Workspace) -> None:
    for minute in range(20):
        slack.post("C01", at(9, minute), f"Message {minute}.")
    for minute in range(3):
        slack.post("C01", at(1, minute), f"Question {minute}?")
        slack.post("C01", at(1, 30), f"Answer {minute}.", thread_ts=at(1, minute))
    slack.post("C01", at(5), "One of its own.")
    slack.most = 15
    point_at(scene, slack)
    run = scene.start()
    for _minute in range(12):
        slack.budget = {"conversations.history": 1, "conversations.replies": 1}
        point_at(scene, slack)
        scene.work()
        if scene.now(run).state != "waiting":
            break
    assert scene.now(run).state == "completed_with_errors"
    assert scene.stored() == [f"C01:day:{day(5)}", *(f"C01:thread:{at(1, minute)}" for minute in range(3))]
    (failure,) = scene.failures(run)
    assert failure.external_id == f"C01:day:{day(9)}"
    assert "15 messages" in failure.reason


def sync(scene: Scene, slack: Workspace) -> SyncRun:
    """A whole run over the workspace."""
    point_at(scene, slack)
    run = scene.start()
    scene.work()
    return scene.now(run)


def point_at(scene: Scene, slack: Workspace) -> None:
    """Have the next turn read the workspace, with a source of its own."""
    credentials = Credentials(TOKEN, None, None, (), "bot")
    source = SlackSource(credentials, SlackSettings().model_dump(), slack.base_url)
    for name in ("pages", "read", "close"):
        setattr(scene.source, name, getattr(source, name))
