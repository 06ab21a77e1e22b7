"""The files of the emulated repositories."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FileSeed:
    """A file of a repository."""

    path: str
    content: bytes
    sentence: str | None
    """What only this document says; None for a file that a connector should pass over."""


def text_file(path: str, sentence: str, content: str) -> FileSeed:
    """A text file whose `content` says `sentence` where it has `{}`."""
    return FileSeed(path, content.replace("{}", sentence).lstrip("\n").encode(), sentence)


def runbook(number: int) -> FileSeed:
    """One of any number of similar files, told apart by the number."""
    return text_file(
        f"docs/runbooks/pool-{number:03}.md",
        f"Worker pool {number} is drained by lowering its weight to {number * 7 % 101} percent first.",
        f"""
# Runbook for worker pool {number}

{{}} Then wait until its queue is empty, stop the processes one by one, and start the new release.
""",
    )


def _ignored(path: str, content: bytes) -> FileSeed:
    return FileSeed(path, content, None)


HANDBOOK_FILES: Final = (
    text_file(
        "README.md",
        "The handbook is reviewed on the first Tuesday of every quarter.",
        """
# Handbook

How the service is run and why it is built this way. {}
Start with `docs/backups.md` and `docs/rate-limits.md`.
""",
    ),
    text_file(
        "docs/backups.md",
        "A base backup is taken every night at 02:40 UTC and kept for thirty-five days.",
        """
# Backups

{} Write-ahead log segments are archived continuously,
so the database can be restored to any second in between.

## Restore drill

Once a month a backup is restored into an empty cluster,
and the row counts of the ten largest tables are compared.
""",
    ),
    text_file(
        "docs/rate-limits.md",
        "Each API key may send 120 requests per minute with bursts of forty.",
        """
# Rate limits

{} The counters live in a table, so every web process sees
the same numbers. A client over its limit gets status 429 and a `Retry-After` header.
""",
    ),
    text_file(
        "docs/onboarding.rst",
        "New engineers shadow the on-call rotation for two weeks before carrying the pager.",
        """
Onboarding
==========

{} The first task is always a fix to the documentation.
""",
    ),
    text_file(
        "docs/glossary.txt",
        "A tombstone is a row that remembers a deleted document so that a sync does not bring it back.",
        """
Glossary

Lease: a claim on work that ends by itself unless it is renewed.
{}
""",
    ),
    text_file(
        "docs/architecture/overview.html",
        "Web processes hold no state, and a load balancer may send any request to any of them.",
        """
<!doctype html>
<html><head><title>Overview</title></head>
<body><h1>Overview</h1><p>{}</p><p>Workers claim jobs with SKIP LOCKED.</p></body></html>
""",
    ),
    text_file(
        "docs/decisions/0001-queue.adoc",
        "We keep the job queue in Postgres because a second system would double what can fail at night.",
        """
= Where the job queue lives

{} The queue moves about forty jobs per second at peak, far below what one table can do.
""",
    ),
    _ignored("docs/logo.png", b"\x89PNG\r\n\x1a\n" + bytes(64)),
    _ignored("data/export.csv", b"id,name\n1,first\n"),
)

TOOLBOX_FILES: Final = (
    text_file(
        "README.md",
        "Every script in the toolbox prints what it would do unless it is given --apply.",
        """
# Toolbox

{}
""",
    ),
    text_file(
        "src/compaction.py",
        "Compaction merges adjacent segments until none is smaller than sixty-four mebibytes.",
        '''
"""{}"""


def plan(sizes: list[int], floor: int = 64 * 1024 * 1024) -> list[list[int]]:
    """Group neighbouring segment sizes so that every group but the last reaches the floor."""
    groups: list[list[int]] = []
    for size in sizes:
        if groups and sum(groups[-1]) < floor:
            groups[-1].append(size)
        else:
            groups.append([size])
    return groups
''',
    ),
    text_file(
        "src/retry.go",
        "Retry waits double from 250 milliseconds and never exceed eight seconds.",
        """
package retry

import "time"

// {}
func Wait(attempt uint) time.Duration {
	wait := 250 * time.Millisecond << attempt
	return min(wait, 8*time.Second)
}
""",
    ),
    text_file(
        "sql/retention.sql",
        "Audit rows older than four hundred days are deleted in batches of five thousand.",
        """
-- {}
DELETE FROM audit_log
WHERE ctid IN (SELECT ctid FROM audit_log WHERE at < now() - interval '400 days' LIMIT 5000);
""",
    ),
    text_file(
        "scripts/rotate-keys.sh",
        "The old signing key stays valid for nine days after a rotation.",
        """
#!/bin/sh
# {}
set -eu
openssl rand -base64 32
""",
    ),
    text_file(
        "config/limits.yaml",
        "Uploads above thirty-two megabytes are refused at the edge.",
        """
# {}
uploads:
  max_megabytes: 32
""",
    ),
    _ignored("pnpm-lock.yaml", b"lockfileVersion: '9.0'\n"),
    _ignored("node_modules/pad/index.js", b"module.exports = (text) => text.padStart(10);\n"),
    _ignored("web/app.min.js", b"const a=1;\n"),
    _ignored("src/generated.sql", b"-- x\n" * 220_000),
)
