"""Slack's message formats as readable text: mrkdwn, blocks and attachments.

https://docs.slack.dev/messaging/formatting-message-text, https://docs.slack.dev/reference/block-kit/blocks
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from backend.connectors.providers.slack.messages import Message, files_of

_CONTROL: Final = re.compile(r"<([^<>\n]+)>")
#: Blocks nest in attachments, and elements in blocks; no real message goes deeper.
MAX_DEPTH: Final = 8


class Names(Protocol):
    """Says what ids stand for."""

    def person(self, user_id: str) -> str:
        """A person's name."""
        ...

    def channel(self, channel_id: str) -> str:
        """A channel's name, without #."""
        ...


class Ids:
    """Names for where nobody should be asked: the ids themselves."""

    def person(self, user_id: str) -> str:
        """See `Names.person`."""
        return user_id

    def channel(self, channel_id: str) -> str:
        """See `Names.channel`."""
        return channel_id


def message_text(message: Message, names: Names) -> str:
    """All that a reader of `message` sees, files named."""
    parts = [_body(message, names)]
    parts += [_attachment(raw, names) for raw in _dicts(message.get("attachments"))]
    parts += [_file(file) for file in files_of(message)]
    return "\n\n".join(part for part in parts if part)


def mrkdwn(text: str, names: Names) -> str:
    """Mentions, links and entities of `text` in words; emoji stay as their names (`:tada:`)."""

    def readable(found: re.Match[str]) -> str:
        target, _, label = found[1].partition("|")
        return _control(target, label, names)

    return _unescape(_CONTROL.sub(readable, text))


def excerpt(text: str, length: int = 80) -> str:
    """The beginning of `text` in one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def _control(target: str, label: str, names: Names) -> str:
    match target[:1]:
        case "@":
            return f"@{label or names.person(target[1:])}"
        case "#":
            return f"#{label or names.channel(target[1:])}"
        case "!":
            # <!here>, <!subteam^S1|@team>, <!date^1392734382^{date}|February 18th>
            return label or f"@{target[1:].partition('^')[0]}"
    if target.startswith("mailto:"):
        return label or target.removeprefix("mailto:")
    return f"[{label}]({target})" if label and label != target else target


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _body(message: Message, names: Names) -> str:
    blocks = _dicts(message.get("blocks"))
    text = mrkdwn(str(message.get("text") or ""), names).strip()
    # What people write is in both; for what apps build of other blocks, the text is but a summary for notifications.
    if text and all(block.get("type") == "rich_text" for block in blocks):
        return text
    return "\n\n".join(part for part in (_block(block, names, 0) for block in blocks) if part) or text


def _block(block: Mapping[str, Any], names: Names, depth: int) -> str:
    if depth > MAX_DEPTH:
        return ""
    match block.get("type"):
        case "rich_text":
            return "\n".join(
                part
                for element in _dicts(block.get("elements"))
                if (part := _rich(element, names, depth + 1))
            )
        case "header" | "section" | "context" | "markdown" | "video" | "image":
            found = [
                _text_object(block.get(name), names) for name in ("title", "text", "alt_text", "description")
            ]
            found += [_text_object(item, names) for item in _dicts(block.get("fields"))]
            found += [_text_object(item, names) for item in _dicts(block.get("elements"))]
            return "\n".join(part for part in found if part)
        case "table":
            rows = block.get("rows")
            cells = (
                [[_cell(cell, names, depth) for cell in _dicts(row)] for row in rows]
                if isinstance(rows, list)
                else []
            )
            return "\n".join(" | ".join(row) for row in cells)
    return ""


def _cell(cell: Mapping[str, Any], names: Names, depth: int) -> str:
    return _block(cell, names, depth + 1) if cell.get("type") == "rich_text" else _text_object(cell, names)


def _text_object(raw: object, names: Names) -> str:
    if isinstance(raw, str):
        return _unescape(raw).strip()
    if not isinstance(raw, dict):
        return ""
    text = str(raw.get("text") or raw.get("alt_text") or "")
    return (_unescape(text) if raw.get("type") == "plain_text" else mrkdwn(text, names)).strip()


def _rich(element: Mapping[str, Any], names: Names, depth: int) -> str:
    """One part of a rich text: a paragraph, a list, a quotation, code, or a piece of a line."""
    if depth > MAX_DEPTH:
        return ""
    inner = [_rich(item, names, depth + 1) for item in _dicts(element.get("elements"))]
    match element.get("type"):
        case "rich_text_section":
            return "".join(inner)
        case "rich_text_list":
            indent = "  " * min(_number(element.get("indent")), MAX_DEPTH)
            is_numbered = element.get("style") == "ordered"
            return "\n".join(
                f"{indent}{f'{position}.' if is_numbered else '-'} {item}"
                for position, item in enumerate(inner, 1)
            )
        case "rich_text_quote":
            return "\n".join(f"> {line}" for line in "".join(inner).splitlines())
        case "rich_text_preformatted":
            return f"```\n{''.join(inner)}\n```"
        case "text":
            return str(element.get("text") or "")
        case "link":
            url, label = str(element.get("url") or ""), str(element.get("text") or "")
            return f"[{label}]({url})" if label and label != url else url
        case "user":
            return f"@{names.person(str(element.get('user_id')))}"
        case "channel":
            return f"#{names.channel(str(element.get('channel_id')))}"
        case "broadcast":
            return f"@{element.get('range')}"
        case "emoji":
            return f":{element.get('name')}:"
        case "date":
            return str(element.get("fallback") or "")
        case "usergroup":
            return "@group"
    return ""


def _attachment(raw: Mapping[str, Any], names: Names) -> str:
    """What an app attached, or the preview of a linked page or message, as a quotation."""
    title = mrkdwn(str(raw.get("title") or ""), names)
    if link := raw.get("title_link") or raw.get("from_url"):
        title = f"[{title}]({link})" if title else str(link)
    parts = [mrkdwn(str(raw.get("pretext") or ""), names), str(raw.get("author_name") or ""), title]
    parts.append(mrkdwn(str(raw.get("text") or ""), names))
    parts += [
        f"{mrkdwn(str(field.get('title') or ''), names)}: {mrkdwn(str(field.get('value') or ''), names)}"
        for field in _dicts(raw.get("fields"))
    ]
    parts += [_block(block, names, 1) for block in _dicts(raw.get("blocks"))]
    if not any(parts):
        parts = [mrkdwn(str(raw.get("fallback") or ""), names)]
    text = "\n".join(part.strip() for part in parts if part.strip())
    return "\n".join(f"> {line}" for line in text.splitlines())


def _file(file: Mapping[str, Any]) -> str:
    if file.get("mode") == "tombstone":
        return ""
    name = str(file.get("title") or file.get("name") or file.get("id") or "file")
    link = file.get("permalink")
    return f"File: [{name}]({link})" if link else f"File: {name}"


def _dicts(raw: object) -> Iterable[Mapping[str, Any]]:
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def _number(raw: object) -> int:
    return raw if isinstance(raw, int) and raw > 0 else 0
