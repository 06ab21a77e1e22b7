"""Runs the npm package `emulate` for one service, as a child process."""

import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import httpx2

from backend.lifeline import die_with_parent
from tests.emulators.node import give_up, installed_package

_START_SECONDS: Final = 30


@contextmanager
def emulate(
    service: str, seed: Mapping[str, Any], *, ready: str, base_url: str | None = None
) -> Iterator[str]:
    """Address of a running emulator of `service` on 127.0.0.1, ended with the block, and with this thread in any
    case. `ready`: a path that it answers; `base_url`: how it calls itself. Skips the test where Node cannot be had."""
    node, package = installed_package("emulate")
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix=f"{service}-emulator-") as folder:
        seed_file, log_file = Path(folder) / "seed.json", Path(folder) / "log.txt"
        seed_file.write_text(json.dumps(seed))
        command = [*node.node, str(package / "dist" / "index.js"), "start", "--service", service]
        command += ["--port", str(port), "--seed", str(seed_file), "--base-url", base_url or address]
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        try:
            _wait_until_it_answers(process, address + ready, log_file)
            yield address
        finally:
            process.kill()
            process.wait()


def consent(authorize_url: str, **chosen: str) -> str:
    """Press the button of the consent page at `authorize_url` whose form has the fields `chosen`; returns the callback
    URL that leads to. Raises `LookupError` when there is none, which includes pages that say what is wrong."""
    with httpx2.Client(timeout=30, trust_env=False) as http:
        page = http.get(authorize_url)
        forms = _Forms()
        forms.feed(page.text)
        form = next((fields for fields in forms.found if chosen.items() <= fields.items()), None)
        if form is None:
            raise LookupError(f"There is no button for {chosen}: status {page.status_code}")
        action = form.pop("")
        return str(http.post(urljoin(str(page.url), action), data=form).headers["location"])


class _Forms(HTMLParser):
    """Collects the forms of a page: their hidden fields, and under an empty name where they go."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append({"": given["action"]})
        elif tag == "input" and self.found:
            self.found[-1][given["name"]] = given.get("value", "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log_file: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with httpx2.Client(timeout=5, trust_env=False) as http:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                http.get(url)
            except httpx2.TransportError:
                time.sleep(0.05)
            else:
                return
    give_up(f"The emulator did not start: {log_file.read_text()[-500:]}")
