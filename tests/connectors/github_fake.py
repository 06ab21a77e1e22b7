"""A GitHub with one repository, which misbehaves in the ways GitHub does and the emulator does not.

Written from https://docs.github.com/rest: git trees and blobs, issues, pull requests, releases.
"""

import base64
import hashlib
import json
from typing import Any

from tests.emulators.scripted import Reply, Request, json_reply

TOKEN = "gho_never-to-be-seen"
REPOSITORY = "octocat/handbook"
API = f"/repos/{REPOSITORY}"
WHEN = "2026-03-04T05:06:07Z"
GONE = json_reply({"message": "Not Found"}, 404)


class FakeGitHub:
    """Answers of one repository without content; a test replaces the ones it is about.

    A path leads to one answer, or to several that are given in turn, the last one for ever.
    """

    def __init__(self) -> None:
        repository = {
            "full_name": REPOSITORY,
            "html_url": f"https://github.com/{REPOSITORY}",
            "default_branch": "main",
            "pushed_at": WHEN,
        }
        self.answers: dict[str, list[Reply]] = {}
        self.on("/user/repos", json_reply([repository]))
        self.on(API, json_reply(repository))
        self.repository = repository
        self.on("/search/issues", json_reply({"total_count": 0}))
        self.on(f"{API}/issues", json_reply([]))
        self.on(f"{API}/pulls", json_reply([]))
        self.on(f"{API}/releases", json_reply([]))
        self.on_tree("main", {})

    def on(self, path: str, *replies: Reply) -> None:
        """Answer requests for `path`; with a query in it for just that query."""
        self.answers[path] = list(replies)

    def on_folders(self, sha: str, folders: dict[str, str], entries: dict[str, bytes]) -> None:
        """Answer with a tree of files and of folders, by their shas, which is too large to be listed at once."""
        self.on_tree(sha, entries, sha=sha)
        whole = json.loads(self.answers[f"{API}/git/trees/{sha}"][0].body)
        below = [{**tree_entry(path), "sha": folder} for path, folder in folders.items()]
        self.on(f"{API}/git/trees/{sha}", json_reply({**whole, "tree": whole["tree"] + below}))
        self.on(f"{API}/git/trees/{sha}?recursive=1", json_reply({**whole, "truncated": True}))

    def on_tree(
        self, ref: str, entries: dict[str, bytes], *, sha: str | None = None, truncated: bool = False
    ) -> None:
        """Answer with a tree of files, and with their blobs."""
        tree = []
        for path, content in entries.items():
            blob = blob_sha(content)
            tree.append({"path": path, "type": "blob", "mode": "100644", "sha": blob, "size": len(content)})
            encoded = {"content": base64.encodebytes(content).decode(), "encoding": "base64"}
            self.on(f"{API}/git/blobs/{blob}", json_reply(encoded))
        self.on(
            f"{API}/git/trees/{ref}",
            json_reply({"sha": sha or f"tree-of-{ref}", "tree": tree, "truncated": truncated}),
        )

    def __call__(self, request: Request) -> Reply:
        replies = self.answers.get(request.path) or self.answers.get(request.path.partition("?")[0]) or [GONE]
        return replies.pop(0) if len(replies) > 1 else replies[0]


def issue(number: int, comments: int = 0) -> dict[str, Any]:
    """An issue as the API lists it."""
    return {
        "number": number,
        "title": f"Title {number}",
        "body": None,
        "state": "open",
        "comments": comments,
        "user": None,
        "labels": [],
        "created_at": WHEN,
        "updated_at": WHEN,
    }


def pull(number: int) -> dict[str, Any]:
    """A pull request as the API lists it."""
    return {**issue(number), "head": {"ref": "topic"}, "base": {"ref": "main"}, "merged_at": None}


def blob_sha(content: bytes) -> str:
    """A name for bytes."""
    return hashlib.sha256(content).hexdigest()[:40]


def tree_entry(path: str) -> dict[str, str]:
    """A folder in a git tree, its sha being its name."""
    return {"path": path, "type": "tree", "mode": "040000", "sha": path}
