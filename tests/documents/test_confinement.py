"""A process that reads documents finds nothing to steal, nobody to tell and nothing to run."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.documents.parsing.document import ReadDocument
from backend.documents.parsing.limits import Limits
from backend.documents.parsing.reader import DocumentReader
from tests.documents import samples

_SCRIPT = """
import json, os, socket, subprocess, sys, tempfile, threading
from pathlib import Path
from backend.documents.parsing.confinement import confine

def attempt(what):
    try:
        what()
    except PermissionError:
        return "refused"
    except Exception as error:
        return type(error).__name__
    return "done"

def tries():
    return {
        "secret": attempt(lambda: Path(SECRET).read_text()),
        "listing": attempt(lambda: os.listdir(Path(SECRET).parent)),
        "environment of the parent": attempt(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes()),
        "write": attempt(lambda: Path(SECRET + ".new").write_text("x")),
        "program": attempt(lambda: subprocess.run(["/bin/true"], check=True)),
        "connection": attempt(lambda: socket.create_connection(("127.0.0.1", PORT), 5).close()),
        "signal": attempt(lambda: os.kill(os.getppid(), 0)),
        "own library": attempt(lambda: Path(json.__file__).read_text()),
        "own temporary file": attempt(lambda: tempfile.NamedTemporaryFile().close()),
    }

SECRET, PORT = sys.argv[1], int(sys.argv[2])
before = tries()
confined = confine()
after = tries()
in_a_thread = {}
thread = threading.Thread(target=lambda: in_a_thread.update(tries()))
thread.start()
thread.join()
print(json.dumps([confined, before, after, in_a_thread]))
"""


def _abi() -> int:
    """Which edition of Landlock the kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    import landlockpy

    try:
        return landlockpy.abi_version()
    except landlockpy.LandlockError:
        return 0


needs_landlock = pytest.mark.skipif(_abi() < 1, reason="this kernel has no Landlock")


@needs_landlock
def test_what_a_confined_process_may_not(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    secret = other / "password"
    secret.write_text("hunter2")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(secret), str(listening.getsockname()[1])],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": str(own), "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    confined, before, after, in_a_thread = json.loads(answer.stdout)
    assert confined
    assert set(before.values()) == {"done"}
    may: dict[str, Any] = dict.fromkeys(before, "refused")
    may["own library"] = "done"
    if _abi() < 4:
        may["connection"] = "done"
    if _abi() < 6:
        may["signal"] = "done"
    assert after == may
    assert in_a_thread == may


_IMPORTING = """
from backend.documents.parsing.confinement import confine
assert confine()
import linked, linked_whole, plain_module
try:
    open(SECRET).read()
except PermissionError:
    print(linked.fact, linked_whole.fact, plain_module.fact)
"""


@needs_landlock
def test_packages_are_found_wherever_they_are_installed(tmp_path: Path) -> None:
    """In a further folder of modules, and in an installer's cache of which the folder has links, to files or to all."""
    site, cache, other, own = (tmp_path / name for name in ("site", "cache", "other", "own"))
    for folder in (
        site / "linked",
        cache / "1" / "linked" / "inner",
        cache / "2" / "linked_whole",
        other,
        own,
    ):
        folder.mkdir(parents=True)
    (site / "plain_module.py").write_text("fact = 3")
    (cache / "1" / "linked" / "__init__.py").write_text("from linked.inner import fact")
    (cache / "1" / "linked" / "inner" / "__init__.py").write_text("fact = 1")
    (site / "linked" / "inner").mkdir()
    for part in ("__init__.py", "inner/__init__.py"):
        (site / "linked" / part).symlink_to(cache / "1" / "linked" / part)
    (cache / "2" / "linked_whole" / "__init__.py").write_text("fact = 2")
    (site / "linked_whole").symlink_to(cache / "2" / "linked_whole")
    (other / "password").write_text("hunter2")
    # A link to something else opens nothing beside it.
    (site / "linking").mkdir()
    (other / "version").write_text("1")
    (site / "linking" / "version").symlink_to(other / "version")
    (site / "whole").symlink_to(other)
    found = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORTING.replace("SECRET", repr(str(other / "password")))],
        check=True,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "TMPDIR": str(own),
            "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[2]), str(site))),
        },
    )
    assert found.stdout == "1 2 3\n"


@needs_landlock
def test_packages_beside_this_one_are_found(tmp_path: Path) -> None:
    """As in a folder that everything was installed into (`pip install --target`)."""
    flat, own = tmp_path / "flat", tmp_path / "own"
    for folder in (flat / "beside", flat / "beside.libs", flat / "data", own):
        folder.mkdir(parents=True)
    shutil.copytree(Path(__file__).parents[2] / "backend", flat / "backend")
    (flat / "beside" / "__init__.py").write_text("")
    (flat / "module.py").write_text("")
    for secret in (flat / ".env", flat / "data" / "keys", flat / "settings.toml"):
        secret.write_text("hunter2")
    script = (
        "from pathlib import Path\n"
        "from backend.documents.parsing.confinement import confine\n"
        "assert confine()\n"
        "import backend.settings, beside, module\n"
        "for name in ('.env', 'data/keys', 'settings.toml'):\n"
        "    try:\n"
        "        Path(backend.__file__).parents[1].joinpath(name).read_text()\n"
        "    except PermissionError:\n"
        "        print(name)\n"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(own), "PYTHONPATH": str(flat)},
    )
    assert found.stdout.split() == [".env", "data/keys", "settings.toml"]


@needs_landlock
def test_folder_of_the_checkout_is_not_readable(tmp_path: Path) -> None:
    """There are settings in it; only the package is read."""
    root = Path(__file__).parents[2]
    script = (
        "import os, sys\n"
        "from backend.documents.parsing.confinement import confine\n"
        "assert confine()\n"
        "import backend.settings\n"
        "os.listdir(sys.argv[1])\n"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", script, str(root)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)},
    )
    assert "PermissionError" in found.stderr


@needs_landlock
@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.pdf", samples.make_pdf(["The hangar is green."])),
        ("a.docx", samples.make_docx(paragraphs=["The hangar is green."])),
        ("a.pptx", samples.make_pptx(title="Hangars", bullets="The hangar is green.")),
        ("a.xlsx", samples.make_xlsx([["The hangar is green."]])),
        ("a.html", b"<p>The hangar is green.</p>"),
    ],
)
def test_documents_are_read_all_the_same(
    name: str, body: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that has unpacked nothing before."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with DocumentReader() as reader:
        found: ReadDocument = reader.read(
            body, file_name=name, mime_type=None, limits=Limits(), max_characters=1200, overlap=0
        )
    assert "The hangar is green." in found.document.text
