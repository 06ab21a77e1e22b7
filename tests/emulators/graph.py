"""Drives of a Microsoft account to be changed by tests, answered over HTTP by `scripted.py`.

Written from the published description of Microsoft Graph (github.com/microsoftgraph/microsoft-graph-docs-contrib,
`driveitem-delta`, `driveitem-get-content`, `site-search`, `site-list` of drives): a delta names an item by its last
state, may name it twice, leaves out the path and, for what is deleted, the name; it tells of a folder that is
renamed or deleted and not of the files in it; old tokens are answered with 410; downloads are redirected to another
host.
"""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.emulators.scripted import Reply, Request, json_reply

OWNER = {"user": {"id": "7", "displayName": "The owner", "email": "owner@example.com"}}


@dataclass
class Node:
    """A file or folder; the root has no parent."""

    id: str
    name: str
    parent: str | None
    content: bytes | None
    """None for a folder."""
    created: str
    version: int = 0
    is_deleted: bool = False
    size: int | None = None
    """What listings say, when it is not the truth."""


@dataclass
class Drive:
    """One drive and the order in which its items changed last."""

    id: str
    name: str = "Documents"
    nodes: dict[str, Node] = field(default_factory=dict)
    clock: int = 0
    forgotten: int = -1
    """Tokens up to this one are answered with 410."""

    def __post_init__(self) -> None:
        self.nodes["root"] = Node("root", "root", None, None, _now())

    def put(self, path: str, content: str = "", *, size: int | None = None) -> str:
        """Write a file, with the folders above it; returns its id."""
        *folders, name = path.split("/")
        parent = "root"
        for folder in folders:
            parent = self._child(parent, folder) or self._add(folder, parent, None)
        node = self._child(parent, name) or self._add(name, parent, b"")
        self.nodes[node].content, self.nodes[node].size = content.encode(), size
        self._touch(node)
        return node

    def rename(self, path: str, name: str) -> None:
        """Give another name to a file or folder."""
        node = self.id_of(path)
        self.nodes[node].name = name
        self._touch(node)

    def move(self, path: str, folder: str) -> None:
        """Put a file or folder somewhere else."""
        node = self.id_of(path)
        self.nodes[node].parent = self.id_of(folder) if folder else "root"
        self._touch(node)

    def delete(self, path: str) -> str:
        """Delete a file or folder; returns its id."""
        node = self.id_of(path)
        self.nodes[node].is_deleted = True
        self._touch(node)
        return node

    def id_of(self, path: str) -> str:
        """The id of what is at a path."""
        node = "root"
        for name in path.split("/"):
            node = self._child(node, name) or ""
        return node

    def above(self, node: Node) -> list[Node]:
        """The folders a node is in, from below the root down."""
        found: list[Node] = []
        while node.parent:
            node = self.nodes[node.parent]
            found.insert(0, node)
        return found[1:]

    def is_there(self, node: Node) -> bool:
        """Whether neither it nor a folder above it is deleted."""
        return not any(one.is_deleted for one in (node, *self.above(node)))

    def _child(self, parent: str, name: str) -> str | None:
        nodes = (node for node in self.nodes.values() if node.parent == parent and not node.is_deleted)
        return next((node.id for node in nodes if node.name == name), None)

    def _add(self, name: str, parent: str, content: bytes | None) -> str:
        node = Node(f"{self.id}-{len(self.nodes)}", name, parent, content, _now())
        self.nodes[node.id] = node
        self._touch(node.id)
        return node.id

    def _touch(self, node: str) -> None:
        self.clock += 1
        self.nodes[node].version = self.clock


@dataclass
class GraphAccount:
    """The drives of an account, the first of them its own; `token` opens it."""

    token: str
    drives: list[Drive]
    base: str = ""
    """Origin that links name; another one than the server's, if a test wants that."""
    download_base: str = ""
    """Origin that downloads are redirected to."""
    page_size: int | None = None
    faults: list[tuple[str, Reply]] = field(default_factory=list)
    """(beginning of a path, answer): given once each, before anything else."""
    forbidden: set[str] = field(default_factory=set)
    """Drives and items that answer 403."""
    is_repetitive: bool = False
    """Whether a delta names items twice, first in a state that is past."""

    def __call__(self, request: Request) -> Reply:
        """The answer to a request."""
        split = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        for fault in self.faults:
            if split.path.startswith(fault[0]):
                self.faults.remove(fault)
                return fault[1]
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "InvalidAuthenticationToken")
        match [unquote(part) for part in split.path.removeprefix("/v1.0/").split("/")]:
            case ["me"]:
                return json_reply({"id": "7", "userPrincipalName": "owner@example.com", "mail": None})
            case ["me", "drive"] if self.drives:
                return json_reply({"id": self.drives[0].id, "driveType": "business", "name": "OneDrive"})
            case ["sites"]:
                sites = [{"id": "host,1,2", "displayName": "Team", "webUrl": "https://host/sites/team"}]
                return json_reply({"value": sites})
            case ["sites", _, "drives"]:
                libraries = [
                    {"id": d.id, "name": d.name, "driveType": "documentLibrary"} for d in self.drives[1:]
                ]
                return json_reply({"value": libraries})
            case ["drives", drive_id, *rest]:
                drive = next((drive for drive in self.drives if drive.id == drive_id), None)
                if drive is None:
                    return _error(404, "itemNotFound")
                if drive.id in self.forbidden:
                    return _error(403, "accessDenied")
                return self._in_drive(drive, rest, query, request)
        return _error(404, "itemNotFound")

    def download(self, request: Request) -> Reply:
        """The answer of the host that downloads are redirected to, which no token must reach."""
        assert "authorization" not in request.headers
        _, _, drive_id, item = urlsplit(request.path).path.split("/")
        (drive,) = (drive for drive in self.drives if drive.id == drive_id)
        return Reply(200, drive.nodes[item].content or b"")

    def _in_drive(self, drive: Drive, rest: list[str], query: dict[str, str], request: Request) -> Reply:
        if rest == ["root", "delta"]:
            # Otherwise the folders above what changed are listed with it.
            assert request.headers["deltaexcludeparent"] == "true"
            return self._delta(drive, query)
        node = drive.nodes.get(rest[1])
        if node is None or not drive.is_there(node):
            return _error(404, "itemNotFound")
        if node.id in self.forbidden:
            return _error(403, "accessDenied")
        if rest[2:] == ["content"]:
            return Reply(302, headers={"location": f"{self.download_base}/d/{drive.id}/{node.id}?tempauth=1"})
        shown = self._shown(drive, node)
        path = "/".join(quote(folder.name) for folder in drive.above(node))
        shown["parentReference"]["path"] = f"/drives/{drive.id}/root:" + (f"/{path}" if path else "")
        return json_reply(shown)

    def _delta(self, drive: Drive, query: dict[str, str]) -> Reply:
        """A token is `since:after:until`: what changed after the first and up to the
        last, and of that what comes after the second. 0 is now."""
        since, after, until = 0, 0, drive.clock
        if "token" in query:
            try:
                since, after, until = (int(part) for part in query["token"].split(":"))
            except ValueError:
                return _error(400, "invalidRequest")
            if since <= drive.forgotten:
                return Reply(
                    410, b'{"error":{"code":"resyncChangesApplyDifferences"}}', {"location": self.base}
                )
        until = until or drive.clock
        changed = [n for n in drive.nodes.values() if n.parent and after < n.version <= until]
        changed.sort(key=lambda node: node.version)
        if not since:
            # A whole listing shows what is there, and not what was.
            changed = [node for node in changed if drive.is_there(node)]
        size = self.page_size or int(query.get("$top", 200))
        page, more = changed[:size], changed[size:]
        items = [self._shown(drive, node) for node in page]
        if self.is_repetitive:
            items = [{**item, "name": "past.txt", "file": {}} for item in items if "file" in item] + items
        root = {"id": "root", "name": "root", "root": {}, "folder": {"childCount": 1}}
        answer: dict[str, Any] = {"value": [root, *items]}
        link = f"{self.base}/v1.0/drives/{quote(drive.id)}/root/delta?token="
        if more:
            answer["@odata.nextLink"] = f"{link}{since}:{page[-1].version}:{until}"
        else:
            answer["@odata.deltaLink"] = f"{link}{until}:{until}:0"
        return json_reply(answer)

    def _shown(self, drive: Drive, node: Node) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": node.id, "parentReference": {"driveId": drive.id, "id": node.parent}}
        shown["file" if node.content is not None else "folder"] = {}
        if node.is_deleted:
            return {**shown, "deleted": {"state": "deleted"}}
        where = "/".join(quote(one.name) for one in (*drive.above(node), node))
        people = {"createdBy": OWNER, "lastModifiedBy": OWNER}
        times = {"createdDateTime": node.created, "lastModifiedDateTime": "2026-03-04T05:06:07Z"}
        shown |= {**people, **times, "name": node.name, "webUrl": f"https://host/{quote(drive.id)}/{where}"}
        if node.content is not None:
            shown["size"] = len(node.content) if node.size is None else node.size
            shown["file"] = {"hashes": {"quickXorHash": base64.b64encode(node.content).decode()}}
        return shown


def _error(status: int, code: str) -> Reply:
    return json_reply({"error": {"code": code, "message": "internal words"}}, status)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
