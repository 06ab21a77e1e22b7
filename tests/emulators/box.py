"""A Box account to be changed by tests, answered over HTTP by `scripted.py`.

Written from Box's published description of its API (github.com/box/box-openapi, developer.box.com/guides/events):
paths, parameters, names of fields, markers, the stream of events with its repetitions, the redirect of downloads to
another host, 404 for what is in the trash, 202 for what is not ready.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.emulators.scripted import Reply, Request, json_reply

ROOT: Final = "0"
WHEN: Final = "2026-03-04T05:06:07-08:00"
OWNER: Final = {"type": "user", "id": "7", "name": "The owner", "login": "owner@example.com"}


@dataclass
class Node:
    """A file or folder."""

    id: str
    kind: str
    name: str
    parent: str
    content: bytes = b""
    is_trashed: bool = False
    size: int | None = None
    """What listings say, when it is not the truth."""


@dataclass
class BoxAccount:
    """A tree of folders and the events of what happened to it. `token` opens it."""

    token: str
    download_base: str = ""
    """Origin that downloads are redirected to."""
    nodes: dict[str, Node] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    faults: list[tuple[str, Reply]] = field(default_factory=list)
    """(beginning of a path, answer): given once each, before anything else."""
    forbidden: set[str] = field(default_factory=set)
    """Ids of what answers 403."""
    date: str | None = None
    """`Date` of the answers, when not the machine's."""
    is_repetitive: bool = False
    """Whether events come twice, and the last ones first."""

    def __post_init__(self) -> None:
        self.nodes[ROOT] = Node(ROOT, "folder", "All Files", "")

    def put(self, path: str, content: str = "", *, size: int | None = None) -> str:
        """Write a file, with the folders above it; returns its id."""
        *folders, name = path.split("/")
        parent = ROOT
        for folder in folders:
            parent = self._child(parent, folder) or self._add("folder", folder, parent, "ITEM_CREATE")
        if existing := self._child(parent, name):
            self.nodes[existing].content = content.encode()
            self._tell("ITEM_UPLOAD", existing)
            return existing
        node = self._add("file", name, parent, None)
        self.nodes[node].content, self.nodes[node].size = content.encode(), size
        self._tell("ITEM_UPLOAD", node)
        return node

    def id_of(self, path: str) -> str:
        """The id of what is at a path."""
        node = ROOT
        for name in path.split("/"):
            node = self._child(node, name) or ""
        return node

    def rename(self, path: str, name: str) -> None:
        """Give another name to a file or folder."""
        node = self.id_of(path)
        self.nodes[node].name = name
        self._tell("ITEM_RENAME", node)

    def move(self, path: str, folder: str) -> None:
        """Put a file or folder somewhere else."""
        node = self.id_of(path)
        self.nodes[node].parent = self.id_of(folder) if folder else ROOT
        self._tell("ITEM_MOVE", node)

    def trash(self, path: str) -> str:
        """Put a file or folder into the trash; returns its id."""
        node = self.id_of(path)
        self.nodes[node].is_trashed = True
        self._tell("ITEM_TRASH", node)
        return node

    def restore(self, node: str) -> None:
        """Take it out again."""
        self.nodes[node].is_trashed = False
        self._tell("ITEM_UNDELETE_VIA_TRASH", node)

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        split = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        for fault in self.faults:
            if split.path.startswith(fault[0]):
                self.faults.remove(fault)
                return fault[1]
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return json_reply({"type": "error", "status": 401, "code": "unauthorized"}, 401)
        match split.path.removeprefix("/2.0/").split("/"):
            case ["users", "me"]:
                return json_reply(
                    {"type": "user", "id": "7", "name": "The owner", "login": "owner@example.com"}
                )
            case ["events"]:
                return self._events(query)
            case [("files" | "folders") as kind, node_id, *rest]:
                node = self.nodes.get(node_id)
                if node is None or f"{node.kind}s" != kind or not self._is_there(node):
                    return json_reply({"type": "error", "status": 404, "code": "not_found"}, 404)
                if node_id in self.forbidden:
                    code = "access_denied_insufficient_permissions"
                    return json_reply({"type": "error", "status": 403, "code": code}, 403)
                if rest == ["items"]:
                    return self._items(node, query)
                if rest == ["content"]:
                    return Reply(302, headers={"location": f"{self.download_base}/d/{node_id}?signed=1"})
                return json_reply(self._shown(node))
        return json_reply({}, 404)

    def download(self, request: Request) -> Reply:
        """The answer of the host that downloads are redirected to, which no token must reach."""
        assert "authorization" not in request.headers
        return Reply(200, self.nodes[urlsplit(request.path).path.removeprefix("/d/")].content)

    def _items(self, folder: Node, query: dict[str, str]) -> Reply:
        assert query["usemarker"] == "true"
        assert "shared_link" not in query["fields"]
        inside = [
            n for n in self.nodes.values() if n.parent == folder.id and not n.is_trashed and n.id != ROOT
        ]
        inside.sort(key=lambda node: int(node.id))
        after = int(query.get("marker", "marker-0").removeprefix("marker-"))
        rest = [node for node in inside if int(node.id) > after]
        page = rest[: int(query["limit"])]
        answer: dict[str, Any] = {"entries": [self._shown(node) for node in page], "limit": len(page)}
        if len(rest) > len(page):
            answer["next_marker"] = f"marker-{page[-1].id}"
        return json_reply(answer)

    def _events(self, query: dict[str, str]) -> Reply:
        assert query["stream_type"] == "changes"
        if query["stream_position"] == "now":
            return self._dated({"chunk_size": 0, "next_stream_position": len(self.events), "entries": []})
        start = int(query["stream_position"])
        page = self.events[start : start + int(query["limit"])]
        position = start + len(page)
        if self.is_repetitive:
            page = [*reversed(page), *page]
        answer = {"chunk_size": len(page), "next_stream_position": position, "entries": page}
        return self._dated(answer)

    def _dated(self, answer: dict[str, Any]) -> Reply:
        return json_reply(answer, date=self.date) if self.date else json_reply(answer)

    def _tell(self, event_type: str, node_id: str) -> None:
        event_id = f"event-{len(self.events)}"
        source = self._shown(self.nodes[node_id])
        if self.nodes[node_id].is_trashed:
            source["path_collection"] = {"entries": [{"type": "folder", "id": "1", "name": "Trash"}]}
        self.events.append(
            {"type": "event", "event_id": event_id, "event_type": event_type, "source": source}
        )

    def _shown(self, node: Node) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "type": node.kind,
            "id": node.id,
            "name": node.name,
            "etag": "1",
            "item_status": "trashed" if node.is_trashed else "active",
            "path_collection": {"entries": [{"id": n.id, "name": n.name} for n in self._above(node)]},
        }
        if node.kind == "file":
            people = {"created_by": OWNER, "modified_by": OWNER, "owned_by": OWNER}
            times = {
                "content_created_at": WHEN,
                "content_modified_at": WHEN,
                "created_at": WHEN,
                "modified_at": WHEN,
            }
            size = len(node.content) if node.size is None else node.size
            shown |= {
                **people,
                **times,
                "sha1": hashlib.sha1(node.content, usedforsecurity=False).hexdigest(),
                "size": size,
            }
        return shown

    def _above(self, node: Node) -> list[Node]:
        above: list[Node] = []
        while node.id != ROOT:
            node = self.nodes[node.parent]
            above.insert(0, node)
        return above

    def _is_there(self, node: Node) -> bool:
        return not any(one.is_trashed for one in (node, *self._above(node)))

    def _child(self, parent: str, name: str) -> str | None:
        return next(
            (n.id for n in self.nodes.values() if n.parent == parent and n.name == name and not n.is_trashed),
            None,
        )

    def _add(self, kind: str, name: str, parent: str, event_type: str | None) -> str:
        node = Node(str(1000 + len(self.nodes)), kind, name, parent)
        self.nodes[node.id] = node
        if event_type:
            self._tell(event_type, node.id)
        return node.id
