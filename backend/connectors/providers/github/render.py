"""Issues, pull requests and discussions as Markdown: the question, everything said about it, by whom and when.

The same thread always gives the same bytes; nothing that changes without the thread changing is written.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

#: Whom GitHub shows in place of a deleted account.
NOBODY: Final = "ghost"

_VERDICTS: Final = (
    ("APPROVED", "approved this"),
    ("CHANGES_REQUESTED", "asked for changes"),
    ("DISMISSED", "review dismissed"),
)


def login(item: Mapping[str, Any]) -> str:
    """Login of whoever wrote `item`; a release has an author, everything else a user."""
    return str((item.get("user") or item.get("author") or {}).get("login") or NOBODY)


def moment(value: str | None) -> datetime | None:
    """GitHub's timestamp as an aware datetime."""
    return datetime.fromisoformat(value) if value else None


def labels(item: Mapping[str, Any]) -> list[str]:
    """Names of the labels of an issue or pull request."""
    return [str(label["name"]) for label in item.get("labels") or () if label.get("name")]


def state(item: Mapping[str, Any]) -> str:
    """`open`, `closed` or, for a pull request, `merged`."""
    return "merged" if item.get("merged_at") else str(item["state"])


def issue(repository: str, item: Mapping[str, Any], comments: Iterable[Mapping[str, Any]]) -> str:
    """An issue and its comments as Markdown."""
    opening = (
        f"Issue #{item['number']} in {repository}, opened by {login(item)} on {_day(item['created_at'])}."
    )
    return _thread(item, opening, [_comment(comment) for comment in comments])


def pull(
    repository: str,
    item: Mapping[str, Any],
    comments: Iterable[Mapping[str, Any]],
    reviews: Iterable[Mapping[str, Any]],
    review_comments: Iterable[Mapping[str, Any]],
) -> str:
    """A pull request with comments, reviews and comments on lines as Markdown, in the order of time."""
    opening = (
        f"Pull request #{item['number']} in {repository}, "
        f"opened by {login(item)} on {_day(item['created_at'])}, "
        f"to merge `{item['head']['ref']}` into `{item['base']['ref']}`."
    )
    said = [_comment(comment) for comment in comments]
    said += [_review(review) for review in reviews if _says_something(review)]
    said += [_line_comment(comment) for comment in review_comments]
    return _thread(item, opening, said)


def discussion(repository: str, item: Mapping[str, Any], comments: Iterable[Mapping[str, Any]]) -> str:
    """A discussion with its comments, each followed by the replies to it, as Markdown; the answer is named as such."""
    opening = (
        f"Discussion #{item['number']} in {repository}, started by {login(item)} on {_day(item['created_at'])} "
        f"in the category {item['category']}."
    )
    return _thread(item, opening, [_answer(comment) for comment in comments])


def release(repository: str, item: Mapping[str, Any]) -> str:
    """The notes of a release as Markdown."""
    when = item.get("published_at") or item["created_at"]
    opening = f"Release {item['tag_name']} of {repository}, published by {login(item)} on {_day(when)}."
    if item.get("prerelease"):
        opening += " It is a pre-release."
    parts = [f"# {item.get('name') or item['tag_name']}", opening, (item.get("body") or "").strip()]
    return "\n\n".join(part for part in parts if part).replace("\r\n", "\n") + "\n"


def _answer(item: Mapping[str, Any]) -> tuple[str, str]:
    when = str(item["created_at"])
    word = "Answer" if item["is_answer"] else "Comment"
    texts = [_section(f"{word} by {login(item)} on {_day(when)}", item)]
    texts += (
        _section(f"Reply by {login(reply)} on {_day(reply['created_at'])}", reply, level=3)
        for reply in item["replies"]
    )
    return when, "\n\n".join(texts)


def _thread(item: Mapping[str, Any], opening: str, said: list[tuple[str, str]]) -> str:
    facts = f"State: {state(item)}"
    if reason := item.get("state_reason"):
        facts += f" ({str(reason).replace('_', ' ')})"
    if names := labels(item):
        facts += f". Labels: {', '.join(names)}"
    parts = [f"# {item['title']}", f"{opening} {facts}.", (item.get("body") or "").strip()]
    parts += (text for _, text in sorted(said, key=lambda entry: entry[0]))
    return "\n\n".join(part for part in parts if part).replace("\r\n", "\n") + "\n"


def _comment(item: Mapping[str, Any]) -> tuple[str, str]:
    when = str(item["created_at"])
    return when, _section(f"Comment by {login(item)} on {_day(when)}", item)


def _line_comment(item: Mapping[str, Any]) -> tuple[str, str]:
    when = str(item["created_at"])
    line = item.get("line") or item.get("original_line")
    place = f"`{item['path']}`" + (f", line {line}" if line else "")
    return when, _section(f"Comment by {login(item)} on {place} on {_day(when)}", item)


def _says_something(review: Mapping[str, Any]) -> bool:
    # A review that only carries comments on lines has no text; those comments come by themselves.
    return review["state"] != "PENDING" and bool(review.get("body") or dict(_VERDICTS).get(review["state"]))


def _review(item: Mapping[str, Any]) -> tuple[str, str]:
    when = str(item.get("submitted_at") or "")
    verdict = dict(_VERDICTS).get(item["state"], "commented")
    return when, _section(f"Review by {login(item)}: {verdict}" + (f" on {_day(when)}" if when else ""), item)


def _section(heading: str, item: Mapping[str, Any], *, level: int = 2) -> str:
    return f"{'#' * level} {heading}\n\n{(item.get('body') or '').strip()}".rstrip()


def _day(value: str) -> str:
    return value[:10]
