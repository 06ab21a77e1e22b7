"""What the emulated GitHub contains: a small team's two repositories about running a service on Postgres.

Every document has one sentence that no other has, for tests that search for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.emulators.github_files import HANDBOOK_FILES, TOOLBOX_FILES, FileSeed, runbook
from tests.emulators.github_threads import HANDBOOK_PULLS, TOOLBOX_PULLS, IssueSeed, PullSeed, issues_about

OWNER: Final = "octocat"
COLLABORATOR: Final = "hubot"
HANDBOOK: Final = f"{OWNER}/handbook"
TOOLBOX: Final = f"{OWNER}/toolbox"

__all__ = [
    "COLLABORATOR",
    "HANDBOOK",
    "OWNER",
    "TOOLBOX",
    "FileSeed",
    "IssueSeed",
    "PullSeed",
    "RepositorySeed",
    "Seed",
    "github_seed",
]


@dataclass(frozen=True, slots=True)
class RepositorySeed:
    """A repository. The emulator numbers its issues from 1 in this order, pull requests after them."""

    name: str
    description: str
    files: tuple[FileSeed, ...] = ()
    issues: tuple[IssueSeed, ...] = ()
    pulls: tuple[PullSeed, ...] = ()
    private: bool = False
    owner: str = OWNER

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    def sentences(self) -> Mapping[str, str]:
        """The distinctive sentence of every document a connector should read, by its external id."""
        found = {f"{self.full_name}:file:{f.path}": f.sentence for f in self.files if f.sentence is not None}
        for number, issue in enumerate(self.issues, start=1):
            found[f"{self.full_name}:issue:{number}"] = issue.sentence
        for number, pull in enumerate(self.pulls, start=len(self.issues) + 1):
            found[f"{self.full_name}:pull:{number}"] = pull.sentence
        return found


@dataclass(frozen=True, slots=True)
class Seed:
    """Everything there is at the emulated GitHub."""

    repositories: tuple[RepositorySeed, ...]

    def sentences(self) -> Mapping[str, str]:
        """The distinctive sentence of every document a connector should read, by its external id."""
        return {key: text for repository in self.repositories for key, text in repository.sentences().items()}

    def external_ids(self) -> frozenset[str]:
        """The external ids of every document a connector should read."""
        return frozenset(self.sentences())


def github_seed(*, issues: int = 25, runbooks: int = 0) -> Seed:
    """A public repository with `issues` issues and `runbooks` more files, and a private one with code."""
    handbook = RepositorySeed(
        name="handbook",
        description="How the service is run",
        files=HANDBOOK_FILES + tuple(runbook(number) for number in range(1, runbooks + 1)),
        issues=issues_about(issues),
        pulls=HANDBOOK_PULLS,
    )
    toolbox = RepositorySeed(
        name="toolbox",
        description="Scripts around the service",
        files=TOOLBOX_FILES,
        issues=issues_about(3, first=10_001),
        pulls=TOOLBOX_PULLS,
        private=True,
    )
    return Seed((handbook, toolbox))
