"""Reads a document in a process of its own, says which, and waits to be killed."""

import sys

from backend.documents.parsing.limits import Limits
from backend.documents.parsing.reader import DocumentReader

if __name__ == "__main__":
    reader = DocumentReader()
    reader.read(b"x", file_name="a", mime_type=None, limits=Limits(), max_characters=1200, overlap=0)
    (pid,) = reader.pids
    sys.stdout.write(f"ready\n{pid}\n")
    sys.stdout.flush()
    sys.stdin.read()
