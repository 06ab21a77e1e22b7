"""A GitHub in memory, with items made from a seed: as much of its API as the connector asks for.

Every version of everything carries a mark of its own at its beginning and its end, so what is stored can be told from
what was there before, from what was cut, and from anything else.
"""

import base64
import json
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.emulators.scripted import Reply, Request, json_reply

_WORDS: Final = [
    word
    for line in (
        "alert archive backup batch cache cluster commit cursor deploy drain event failover flush grant index job",
        "lease ledger limit lock log metric migrate node page partition patch pool probe queue quota replica restore",
        "retry rollback route schema shard snapshot stream table tenant token trace upgrade vacuum worker",
    )
    for word in line.split()
]
_ENDINGS: Final = (".md", ".txt", ".md", ".py")
_GONE: Final = json_reply({"message": "Not Found"}, 404)
_ISSUE_SHARE: Final = 0.15


def mark(*parts: object) -> str:
    """The name of one version of something."""
    return sha1(repr(parts).encode(), usedforsecurity=False).hexdigest()[:12]


@dataclass(slots=True)
class Issue:
    """An issue as the API lists it, and its comments."""

    raw: dict[str, Any]
    marks: list[str]
    comments: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Repository:
    """The files of the default branch, by path, and the issues, by number."""

    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"chaos/{self.name}"


class Hub:
    """Holds the items and answers requests; safe for threads. `items` are there at the beginning."""

    def __init__(self, *, items: int, seed: int, repositories: int) -> None:
        self._random = random.Random(f"hub {seed}")
        self._lock = threading.RLock()
        self._version = 0
        self._marks: dict[str, list[str]] = {}
        self._blobs: dict[str, tuple[str, str, bytes]] = {}
        self._trees: dict[str, dict[str, tuple[str, int]]] = {}
        #: External ids that were there and are not any more.
        self.removed: set[str] = set()
        self.repositories = {
            f"chaos/part-{n:02}": Repository(f"part-{n:02}") for n in range(max(1, repositories))
        }
        names = list(self.repositories)
        # One of them has so many issues that they come in pages, the others are small.
        large = self._random.choice(names)
        for number in range(items):
            name = self._random.choice((large, *names)) if self._random.random() < 0.7 else large
            # None is empty.
            name = names[number] if number < len(names) else name
            if self._random.random() < _ISSUE_SHARE * (2 if name == large else 1):
                self._add_issue(self.repositories[name])
            else:
                self._add_file(self.repositories[name])

    def expected(self) -> dict[str, list[str]]:
        """External id to the marks its document must carry now, in order."""
        with self._lock:
            return {external_id: list(marks) for external_id, marks in self._marks.items()}

    def some_file(self) -> str:
        """External id of one of the files."""
        with self._lock:
            return self._random.choice(sorted(name for name in self._marks if ":file:" in name))

    def locate(self, path: str) -> str | None:
        """External id of the item that a request reads; None when it reads none."""
        parts = urlsplit(path).path.strip("/").split("/")
        match parts:
            case ["repos", _, _, "git", "blobs", sha]:
                found = self._blobs.get(sha)
                return f"{found[0]}:file:{found[1]}" if found else None
            case ["repos", owner, name, "issues", number, "comments"]:
                return f"{owner}/{name}:issue:{number}"
            case _:
                return None

    def change(self, external_id: str) -> None:
        """Another version of an item: a file is rewritten, an issue commented on or rewritten."""
        with self._lock:
            if external_id not in self._marks:
                return
            name, kind, key = external_id.split(":", 2)
            if kind == "file":
                self._write(self.repositories[name], key)
                return
            issue = self.repositories[name].issues[int(key)]
            if self._random.random() < 0.5:
                self._comment(self.repositories[name], issue)
            else:
                self._describe(self.repositories[name], issue)
            issue.raw["updated_at"] = _moment(datetime.now(UTC))

    def add_and_remove(self) -> None:
        """One more file, one more issue, and one file less."""
        with self._lock:
            repository = self._random.choice(list(self.repositories.values()))
            self._add_file(repository)
            self._add_issue(repository, datetime.now(UTC))
            path = self._random.choice(sorted(repository.files))
            external_id = f"{repository.full_name}:file:{path}"
            del repository.files[path], self._marks[external_id]
            self.removed.add(external_id)

    def answer(self, request: Request) -> Reply:
        """What the API answers to a request of somebody who may ask."""
        with self._lock:
            url = urlsplit(request.path)
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            match [unquote(part) for part in url.path.strip("/").split("/")]:
                case ["user"]:
                    return json_reply({"id": 1, "login": "octocat"})
                case ["user", "repos"]:
                    return json_reply([_described(name) for name in sorted(self.repositories)])
                case ["search", "issues"]:
                    return self._count(query["q"])
                case ["repos", owner, name, *rest] if f"{owner}/{name}" in self.repositories:
                    return self._in(self.repositories[f"{owner}/{name}"], rest, request, query)
                case _:
                    return _GONE

    def _in(
        self, repository: Repository, rest: Sequence[str], request: Request, query: Mapping[str, str]
    ) -> Reply:
        match rest:
            case []:
                return json_reply(_described(repository.full_name))
            case ["git", "trees", tree_ish]:
                return self._tree(repository, tree_ish)
            case ["git", "blobs", sha] if sha in self._blobs:
                content = base64.encodebytes(self._blobs[sha][2]).decode()
                return json_reply({"sha": sha, "encoding": "base64", "content": content})
            case ["issues"]:
                return _listed(repository, request, query)
            case ["issues", number] if int(number) in repository.issues:
                return json_reply(_raw(repository.issues[int(number)]))
            case ["issues", number, "comments"] if int(number) in repository.issues:
                return json_reply(repository.issues[int(number)].comments)
            case ["pulls"] | ["releases"]:
                return json_reply([])
            case _:
                return _GONE

    def _tree(self, repository: Repository, tree_ish: str) -> Reply:
        if tree_ish == "main":
            files = {path: (_sha(body), len(body)) for path, body in repository.files.items()}
            tree_ish = _sha(json.dumps([repository.name, sorted(files.items())]).encode())
            self._trees[tree_ish] = files
        if tree_ish not in self._trees:
            return _GONE
        tree = [
            {"path": path, "type": "blob", "mode": "100644", "sha": sha, "size": size}
            for path, (sha, size) in sorted(self._trees[tree_ish].items())
        ]
        return json_reply({"sha": tree_ish, "tree": tree, "truncated": False})

    def _count(self, question: str) -> Reply:
        name = question.partition("repo:")[2].partition(" ")[0]
        is_issue = question.endswith("is:issue")
        return json_reply({"total_count": len(self.repositories[name].issues) if is_issue else 0})

    def _add_file(self, repository: Repository) -> None:
        number = len(self._blobs)
        folder = self._random.choice(_WORDS)
        self._write(repository, f"{folder}/note-{number:05}{self._random.choice(_ENDINGS)}")

    def _write(self, repository: Repository, path: str) -> None:
        external_id = f"{repository.full_name}:file:{path}"
        name = self._next(external_id)
        self._marks[external_id] = [name]
        text = f"# {path}\n\n{self._text(name)}\n".encode()
        repository.files[path] = text
        self._blobs[_sha(text)] = (repository.full_name, path, text)

    def _add_issue(self, repository: Repository, when: datetime | None = None) -> None:
        number = len(repository.issues) + 1
        created = _moment(when or datetime.now(UTC) - timedelta(days=30) + timedelta(minutes=number))
        raw = {"number": number, "title": f"Question {number}", "state": "open", "labels": []}
        raw |= {"user": {"login": "octocat"}, "created_at": created, "updated_at": created}
        issue = repository.issues[number] = Issue(raw, [])
        self._describe(repository, issue)
        for _ in range(self._random.choice((0, 1, 2))):
            self._comment(repository, issue)

    def _describe(self, repository: Repository, issue: Issue) -> None:
        external_id = f"{repository.full_name}:issue:{issue.raw['number']}"
        name = self._next(external_id)
        issue.raw["body"] = self._text(name)
        issue.marks = [name, *issue.marks[1:]]
        self._marks[external_id] = issue.marks

    def _comment(self, repository: Repository, issue: Issue) -> None:
        external_id = f"{repository.full_name}:issue:{issue.raw['number']}"
        name = self._next(external_id)
        when = _moment(datetime.now(UTC) - timedelta(days=1) + timedelta(seconds=len(issue.comments)))
        issue.comments.append({"body": self._text(name), "user": {"login": "hubot"}, "created_at": when})
        issue.marks.append(name)

    def _next(self, external_id: str) -> str:
        self._version += 1
        return mark(external_id, self._version)

    def _text(self, name: str) -> str:
        sentences = (
            " ".join(self._random.choices(_WORDS, k=self._random.randint(5, 12))).capitalize() + "."
            for _ in range(self._random.randint(2, 6))
        )
        return f"Mark {name} begins. {' '.join(sentences)} Mark {name} ends."


def _listed(repository: Repository, request: Request, query: Mapping[str, str]) -> Reply:
    issues = [_raw(issue) for _, issue in sorted(repository.issues.items())]
    if query.get("sort") == "updated":
        issues.sort(key=lambda raw: str(raw["updated_at"]), reverse=True)
    if since := query.get("since"):
        issues = [raw for raw in issues if raw["updated_at"] >= since]
    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
    shown = issues[(page - 1) * size : page * size]
    if page * size >= len(issues):
        return json_reply(shown)
    path = request.path.partition("&page=")[0]
    return json_reply(shown, link=f'<http://{request.headers["host"]}{path}&page={page + 1}>; rel="next"')


def _raw(issue: Issue) -> dict[str, Any]:
    return {**issue.raw, "comments": len(issue.comments)}


def _described(full_name: str) -> dict[str, Any]:
    return {
        "full_name": full_name,
        "html_url": f"https://github.com/{full_name}",
        "default_branch": "main",
        "pushed_at": "2026-01-02T03:04:05Z",
    }


def _sha(body: bytes) -> str:
    return sha1(body, usedforsecurity=False).hexdigest()


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
