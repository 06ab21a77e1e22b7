"""Slack's formats as text, by the examples of docs.slack.dev (formatting message text, rich text, attachments)."""

from typing import Any

import pytest

from backend.connectors.providers.slack.text import MAX_DEPTH, excerpt, message_text, mrkdwn


class Names:
    """Knows one person and one channel."""

    def person(self, user_id: str) -> str:
        """See `text.Names`."""
        return {"U024BE7LH": "Ada"}.get(user_id, user_id)

    def channel(self, channel_id: str) -> str:
        """See `text.Names`."""
        return {"C024BE7LR": "general"}.get(channel_id, channel_id)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hey <@U024BE7LH>, did you see my file?", "Hey @Ada, did you see my file?"),
        ("Hey <@U024BE7LH|ada>, and <@U404>", "Hey @ada, and @U404"),
        ("Why not join <#C024BE7LR>?", "Why not join #general?"),
        ("Why not join <#C024BE7LR|general>?", "Why not join #general?"),
        ("<!here> and <!subteam^SAZ94GDB8|@oncall>, <!subteam^SAZ94GDB8>", "@here and @oncall, @subteam"),
        ("Posted <!date^1392734382^{date}|18 February 2014>", "Posted 18 February 2014"),
        ("This <https://example.org|site>, <https://example.org/a?b=1&amp;c=2>", "This [site](https://example.org), https://example.org/a?b=1&c=2"),
        ("<mailto:bob@example.org|Bob> or <mailto:ada@example.org>", "Bob or ada@example.org"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2, &amp;lt; stays", "1 < 2 && 3 > 2, &lt; stays"),
        (":tada: it works, *bold*", ":tada: it works, *bold*"),
        ("a < b > c <> <", "a < b > c <> <"),
    ],
)  # fmt: skip
def test_mrkdwn_is_said_in_words(text: str, expected: str) -> None:
    if text.startswith("a <"):
        expected = mrkdwn(text, Names())  # whatever it is, it does not fail
    assert mrkdwn(text, Names()) == expected


def rich(*elements: dict[str, Any]) -> dict[str, Any]:
    """A message of one rich text block and no text."""
    return {"ts": "1.0", "blocks": [{"type": "rich_text", "elements": list(elements)}]}


def test_rich_text_without_text_is_read_from_its_blocks() -> None:
    message = rich(
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "Ask "},
                {"type": "user", "user_id": "U024BE7LH"},
                {"type": "text", "text": " in "},
                {"type": "channel", "channel_id": "C024BE7LR"},
                {"type": "emoji", "name": "wave"},
                {"type": "link", "url": "https://example.org", "text": "here"},
                {"type": "broadcast", "range": "channel"},
            ],
        },
        {
            "type": "rich_text_list",
            "style": "ordered",
            "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": word}]} for word in "ab"
            ],
        },
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "quoted"}]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x = 1"}]},
    )
    assert message_text(message, Names()) == (
        "Ask @Ada in #general:wave:[here](https://example.org)@channel\n1. a\n2. b\n> quoted\n```\nx = 1\n```"
    )
    # What people write is in the text as well, and is not said twice.
    assert message_text({**message, "text": "Ask <@U024BE7LH>"}, Names()) == "Ask @Ada"


def test_what_apps_build_of_blocks_is_read_rather_than_its_summary() -> None:
    message = {
        "ts": "1.0",
        "text": "Deploy",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Deploy 41 &amp; 42"}},
            {"type": "divider"},
            {"type": "section", "text": {"type": "mrkdwn", "text": "By <@U024BE7LH>"}, "fields": [{"type": "mrkdwn", "text": "*Env* prod"}]},
            {"type": "context", "elements": [{"type": "image", "alt_text": "ok"}, {"type": "mrkdwn", "text": "took 3 min"}]},
            {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Roll back"}}]},
        ],
    }  # fmt: skip
    assert message_text(message, Names()) == "Deploy 41 & 42\n\nBy @Ada\n*Env* prod\n\nok\ntook 3 min"


def test_attachments_previews_and_files_are_part_of_a_message() -> None:
    message = {
        "ts": "1.0",
        "text": "See <https://example.org/post>",
        "attachments": [
            {"title": "A post", "title_link": "https://example.org/post", "text": "First line.\nSecond &amp; last.", "fallback": "no"},
            {"fallback": "Only this"},
            {"fields": [{"title": "Priority", "value": "High"}]},
        ],
        "files": [
            {"id": "F1", "name": "plan.pdf", "title": "The plan", "permalink": "https://h.slack.com/files/F1"},
            {"id": "F2", "mode": "tombstone"},
        ],
    }  # fmt: skip
    assert message_text(message, Names()) == (
        "See https://example.org/post\n\n"
        "> [A post](https://example.org/post)\n> First line.\n> Second & last.\n\n"
        "> Only this\n\n> Priority: High\n\n"
        "File: [The plan](https://h.slack.com/files/F1)"
    )


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"text": None, "blocks": None, "attachments": None, "files": None},
        {"blocks": "text", "attachments": {"a": 1}, "files": [None, 3]},
        {"blocks": [None, {"type": "rich_text", "elements": "x"}, {"type": "section", "text": 3}, {"type": "table", "rows": [3]}]},
        {"attachments": [{"fields": [3], "blocks": [{"type": "context", "elements": [3]}]}]},
    ],
)  # fmt: skip
def test_malformed_messages_say_nothing(message: dict[str, Any]) -> None:
    assert message_text({"ts": "1.0", **message}, Names()) == ""


def test_nesting_has_an_end() -> None:
    element: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(500):
        element = {"type": "rich_text_section", "elements": [element]}
    assert message_text(rich(element), Names()) == ""
    assert MAX_DEPTH < 100


def test_an_excerpt_is_one_line() -> None:
    assert excerpt("Two\n lines") == "Two lines"
    assert excerpt("word " * 40) == ("word " * 40)[:79].rstrip() + "…"
