"""The issues and pull requests of the emulated repositories."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class IssueSeed:
    """An issue; its comments come from the collaborator and the owner in turn."""

    title: str
    body: str
    sentence: str
    """What only this document says."""
    comments: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    closed: bool = False


@dataclass(frozen=True, slots=True)
class PullSeed:
    """A pull request from a branch of its own."""

    title: str
    body: str
    branch: str
    sentence: str
    """What only this document says; it stands in the review."""
    comments: tuple[str, ...] = ()
    review: str = ""
    line_comment: str = ""
    merged: bool = False


#: What is wrong, why, and what was done about it.
_TOPICS: Final = (
    (
        "Search is slow after a bulk import",
        "the planner still uses the old statistics",
        "run ANALYZE after imports",
    ),
    (
        "Workers stay idle after a failover",
        "the listener keeps a dead connection",
        "listen again on reconnect",
    ),
    (
        "Uploads of scanned PDFs end up empty",
        "the file has images and no text layer",
        "report it as unreadable",
    ),
    ("Two workers claimed the same job", "the claim read without a row lock", "claim with SKIP LOCKED"),
    (
        "Sign-out does not end other sessions",
        "tokens were checked by signature alone",
        "look up the session row",
    ),
    (
        "Progress bar jumps backwards",
        "the total is recomputed after every page",
        "fix the total at the start",
    ),
    ("Disk fills up during reindexing", "dead tuples outgrow autovacuum", "lower the vacuum scale factor"),
    (
        "Names with accents are rejected",
        "the pattern allows ASCII letters only",
        "compare after normalisation",
    ),
    ("Clock skew breaks token expiry", "each machine compares with its own time", "let the database decide"),
    ("Sync stops at the first broken file", "one exception ends the whole page", "record it and go on"),
    ("Settings changes need a restart", "values are read once at import", "publish versions through a table"),
    ("Deleted documents come back", "the next pass does not know they were deleted", "keep a tombstone"),
    (
        "Chat history is shown to the wrong user",
        "rows are filtered by tenant only",
        "scope them to the user too",
    ),
    ("Connections run out under load", "each request opens its own", "pool them and set a limit"),
    ("The health check never fails", "it answers before touching the database", "run a query with a timeout"),
    ("Webhooks are processed twice", "the provider repeats after a slow answer", "store the delivery id"),
    (
        "Migrations block writes for minutes",
        "the index is built without CONCURRENTLY",
        "build it concurrently",
    ),
    ("Embeddings of the same text differ", "batches are padded to other lengths", "mask the padding"),
    ("Large answers are cut in half", "the proxy buffers only sixty-four kilobytes", "raise the buffer size"),
    (
        "Old cache entries are never evicted",
        "the cleaner looks at creation, not at use",
        "track the last use",
    ),
    ("Emails arrive with broken quotes", "the charset header is ignored", "decode as declared"),
    ("Nightly report misses the last hour", "the range uses local midnight", "use UTC boundaries"),
    ("Audit log grows without end", "nothing ever deletes from it", "purge by age in batches"),
    ("Retries hammer a provider that is down", "all workers wait the same time", "add jitter to the wait"),
    ("A paused job never resumes", "its wake-up time is stored without a zone", "store an aware timestamp"),
)

_LABELS: Final = (("bug",), ("question", "database"), (), ("decision",))


def issues_about(count: int, first: int = 1) -> tuple[IssueSeed, ...]:
    """`count` issues, told apart by incident numbers that start at `first`; with 0 to 3 comments each."""
    return tuple(_issue(number) for number in range(first, first + count))


def _issue(number: int) -> IssueSeed:
    title, cause, remedy = _TOPICS[(number - 1) % len(_TOPICS)]
    sentence = (
        f"Incident {number} lasted {number * 13 % 240 + 5} minutes and began on node {number % 17 + 1}."
    )
    comments = (
        f"The cause is that {cause}; incident {number} shows it in the log.",
        f"Agreed for incident {number}: {remedy}.",
        f"Done, and incident {number} has not come back in a week.",
    )
    return IssueSeed(
        title=title,
        body=f"{sentence}\n\nExpected: no visible effect. Observed: {title.lower()}.",
        sentence=sentence,
        comments=comments[: number % 4],
        labels=_LABELS[number % len(_LABELS)],
        closed=number % 3 == 0,
    )


def _pull(
    title: str, branch: str, sentence: str, *, merged: bool = False, comments: tuple[str, ...] = ()
) -> PullSeed:
    return PullSeed(
        title=title,
        body=f"{title}, as discussed in the issue.",
        branch=branch,
        sentence=sentence,
        comments=comments,
        review=f"Read it twice and tried it. {sentence}",
        line_comment="This line is worth a comment in the code.",
        merged=merged,
    )


HANDBOOK_PULLS: Final = (
    _pull(
        "Describe the restore drill",
        "restore-drill",
        "The drill took fifty-one minutes on the standby cluster.",
        merged=True,
        comments=("Please name the ten tables.", "They change; the script lists them."),
    ),
    _pull("Explain burst limits", "burst-limits", "Bursts are counted per key and not per address."),
    _pull(
        "Add the lease to the glossary",
        "glossary-lease",
        "A lease outlives its holder by at most thirty seconds.",
    ),
    _pull(
        "Move decisions to AsciiDoc", "adoc", "AsciiDoc was chosen for its numbered callouts.", merged=True
    ),
)

TOOLBOX_PULLS: Final = (
    _pull(
        "Cap retry waits", "cap-waits", "Without the cap the twelfth attempt would wait seventeen minutes."
    ),
    _pull(
        "Batch the purge", "batch-purge", "Batches of five thousand keep each lock below ninety milliseconds."
    ),
)
