"""Writes schema.sql, the whole schema as the newest migration leaves it (scripts/schema).

It is for reading and for review: what a change does to tables, rights and policies shows in its diff. A test
compares it with what the migrations make.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from backend.bundled import prepare_bundled, with_bundled
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import libpq_url
from backend.db.migrate import migrate
from backend.db.server_files import SERVER_ENVIRONMENT, program
from backend.settings import Settings

PATH: Final = Path(__file__).with_name("schema.sql")

_HEADER: Final = "-- Written by scripts/schema from the migrations; do not edit.\n"

#: What differs between runs and versions of pg_dump, and the frames around its headings.
_VOLATILE: Final = re.compile(
    r"^(\\(un)?restrict .*|-- (Dumped|PostgreSQL database dump).*|--)\n", re.MULTILINE
)


def dump(url: str) -> str:
    """The schema of the database at `url`, with owners and rights; the same for the same schema.

    Raises subprocess.CalledProcessError.
    """
    run = subprocess.run(
        [str(program("pg_dump")), "--schema-only", "--dbname", libpq_url(url)],
        env=dict(SERVER_ENVIRONMENT),
        capture_output=True,
        text=True,
        check=True,
    )
    plain = _VOLATILE.sub("", run.stdout)
    return _HEADER + "\n" + re.sub(r"\n{3,}", "\n\n", plain).strip() + "\n"


def main() -> None:
    """Migrates a database of a server of its own, and writes down what came out."""
    # Not below the home folder of root: the server runs as another user, who must get there.
    with tempfile.TemporaryDirectory(prefix="secondbrain-schema-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        server = EmbeddedPostgres(Path(folder, "postgres"), settings={"fsync": "off"})
        server.start(bound_to_parent=True)
        try:
            prepare_bundled(server)
            settings = with_bundled(Settings.model_validate({}), server)
            migrate(settings)
            PATH.write_text(dump(settings.database_owner_url.get_secret_value()))
        finally:
            server.stop("immediate")


if __name__ == "__main__":
    main()
