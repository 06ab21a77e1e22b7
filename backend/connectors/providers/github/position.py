"""The cursor: what has been reached in each repository, and the place in the pass under way."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

from backend.connectors.providers.contract import JSON

STAGES: Final = ("files", "issues", "pulls", "discussions", "releases", "done")
#: Changes are asked for from this long before the last pass began, by GitHub's clock: what it shows may lag behind
#: what it has. What comes twice has the revision it had, and is not read again.
OVERLAP: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one repository has been listed."""

    tree: str | None = None
    """Sha of the git tree whose files were listed; None: list them all."""
    since: str | None = None
    """Threads changed after this time, in GitHub's form, are to be listed; None: all of them."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a pass: in `stage` of `repository`, after what `after` names."""

    marks: Mapping[str, Mark] = field(default_factory=dict)
    """By `owner/name`, as the walk through the repository has left it, in this pass or in one before."""
    is_full: bool = True
    is_over: bool = False
    """Whether this stands between two passes."""
    began: str | None = None
    """When the pass began, less `OVERLAP`, in GitHub's form; None when GitHub did not say."""
    repository: str = ""
    stage: str = "files"
    after: str | None = None
    """Files: the last path listed. Discussions: GraphQL's cursor. Others: the API path of the next list page."""
    tree: str | None = None
    """Sha of the tree whose files are, or were, listed in this pass."""
    failed: tuple[str, ...] = ()
    """Stages of this repository that could not be listed."""
    total: int | None = None

    @property
    def mark(self) -> Mark:
        """What changes in this repository are counted from: nothing, in a pass over everything."""
        return Mark() if self.is_full else self.marks.get(self.repository, Mark())

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON."""
        return {**asdict(self), "marks": {name: [m.tree, m.since] for name, m in self.marks.items()}}

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The place `to_cursor` wrote down. Raises `KeyError` or `TypeError` for anything else."""
        marks = {name: Mark(*mark) for name, mark in cursor["marks"].items()}
        return cls(**{**cursor, "marks": marks, "failed": tuple(cursor["failed"])})

    def next_pass(self) -> "Position":
        """The beginning of the pass of changes that follows."""
        return Position(marks=self.marks, is_full=False)

    def begin(self, now: datetime | None) -> "Position":
        """This, knowing what GitHub's clock shows."""
        return replace(self, began=f"{now - OVERLAP:%Y-%m-%dT%H:%M:%SZ}" if now else None)

    def enter(self, repository: str) -> "Position":
        """The beginning of a repository."""
        return replace(self, repository=repository, stage=STAGES[0], after=None, tree=None, failed=())

    def next_stage(self) -> "Position":
        """The beginning of the stage after this one."""
        return replace(self, stage=STAGES[STAGES.index(self.stage) + 1], after=None)

    def without_stage(self) -> "Position":
        """The same, and the next pass has to list this stage from where it was to be listed in this one."""
        return replace(self.next_stage(), failed=(*self.failed, self.stage))

    def without_repository(self) -> "Position":
        """The end of a repository of which nothing could be listed."""
        return replace(self, stage="done", failed=STAGES[:-1])

    def leave(self) -> "Position":
        """The end of the repository, with its mark moved on by all that was listed."""
        before = self.mark
        mark = Mark(
            tree=before.tree if "files" in self.failed else self.tree,
            since=before.since if set(self.failed) - {"files"} else self.began,
        )
        return replace(
            self, marks={**self.marks, self.repository: mark}, stage="done", after=None, tree=None, failed=()
        )

    def end(self) -> "Position":
        """The end of the pass."""
        return Position(marks=self.marks, is_over=True)
