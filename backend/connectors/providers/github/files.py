"""Which files of a repository are worth reading, in which order, and what they are called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

#: Nothing but source code and configuration people write by hand; data and generated files teach nobody
#: anything.
MAX_CODE_BYTES: Final = 1024 * 1024
#: A larger document is reported as a failure, not left out silently.
MAX_DOCUMENT_BYTES: Final = 10 * 1024 * 1024

DOCUMENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".md": "text/markdown",
        ".mdx": "text/markdown",
        ".markdown": "text/markdown",
        ".rst": "text/x-rst",
        ".txt": "text/plain",
        ".adoc": "text/asciidoc",
        ".html": "text/html",
        ".htm": "text/html",
        ".pdf": "application/pdf",
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)

LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".bash": "Shell", ".c": "C", ".cc": "C++", ".clj": "Clojure", ".cpp": "C++", ".cs": "C#",
        ".css": "CSS", ".dart": "Dart", ".erl": "Erlang", ".ex": "Elixir", ".exs": "Elixir", ".fs": "F#",
        ".go": "Go", ".gradle": "Gradle", ".graphql": "GraphQL", ".groovy": "Groovy", ".h": "C",
        ".hpp": "C++", ".hs": "Haskell", ".ini": "INI", ".java": "Java", ".jl": "Julia", ".js": "JavaScript",
        ".jsx": "JavaScript", ".kt": "Kotlin", ".kts": "Kotlin", ".lua": "Lua", ".m": "Objective-C",
        ".ml": "OCaml", ".mm": "Objective-C++", ".php": "PHP", ".pl": "Perl", ".proto": "Protocol Buffers",
        ".ps1": "PowerShell", ".py": "Python", ".pyi": "Python", ".r": "R", ".rb": "Ruby", ".rs": "Rust",
        ".sass": "Sass", ".scala": "Scala", ".scss": "SCSS", ".sh": "Shell", ".sql": "SQL",
        ".svelte": "Svelte", ".swift": "Swift", ".tf": "Terraform", ".toml": "TOML", ".ts": "TypeScript",
        ".tsx": "TypeScript", ".vue": "Vue", ".yaml": "YAML", ".yml": "YAML", ".zig": "Zig",
    }
)  # fmt: skip

LANGUAGES_BY_NAME: Final[Mapping[str, str]] = MappingProxyType(
    {"dockerfile": "Dockerfile", "makefile": "Makefile", "justfile": "Just", "jenkinsfile": "Groovy"}
)

#: Folders of other people's code and of what a build leaves behind, by lower-case name at any depth.
VENDORED: Final = frozenset(
    {
        ".git", ".next", ".nuxt", ".terraform", ".tox", ".venv", ".yarn", "__pycache__", "__snapshots__",
        "bower_components", "dist", "jspm_packages", "node_modules", "pods", "site-packages", "third-party",
        "third_party", "vendor", "vendored", "venv",
    }
)  # fmt: skip

#: Lock files that look like configuration; the others have extensions that are not read anyway.
LOCK_FILES: Final = frozenset({"conda-lock.yml", "pnpm-lock.yaml"})

GENERATED_ENDINGS: Final = (
    ".bundle.js", ".generated.cs", ".min.css", ".min.js", ".pb.go", ".pb.h", ".pb.cc", "_pb2.py", "_pb2.pyi",
    "_pb2_grpc.py",
)  # fmt: skip

_SYMLINK: Final = "120000"
_BYTE_ORDER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """A file worth reading: where it is, what it is, and the blob that holds it."""

    path: str
    blob_sha: str
    byte_size: int
    mime_type: str
    language: str | None
    """A programming language, or None for a document."""

    @property
    def name(self) -> str:
        """Last segment of the path."""
        return PurePosixPath(self.path).name

    @property
    def folder(self) -> str:
        """The path without the name; empty at the root."""
        parent = str(PurePosixPath(self.path).parent)
        return "" if parent == "." else parent

    @property
    def is_code(self) -> bool:
        """Whether it is source code, not a document."""
        return self.language is not None

    @property
    def file_type(self) -> str:
        """`code`, or the extension of a document without its dot."""
        return "code" if self.is_code else (PurePosixPath(self.path).suffix.lower().lstrip(".") or "txt")

    @property
    def is_too_large(self) -> bool:
        """Whether it is a document above `MAX_DOCUMENT_BYTES` (code above its limit is never selected)."""
        return self.byte_size > MAX_DOCUMENT_BYTES

    @property
    def order(self) -> tuple[int, str]:
        """Where it comes in a walk: READMEs, documents, code; by path within each."""
        return reading_order(self.path)


def reading_order(path: str) -> tuple[int, str]:
    """Sort key of a path. A function of the path alone, so that a walk can go on after one."""
    name = PurePosixPath(path).name.lower()
    if name.split(".")[0] == "readme":
        return 0, path
    return (1 if PurePosixPath(name).suffix in DOCUMENT_TYPES else 2), path


def is_vendored(path: str) -> bool:
    """Whether a folder of this path holds code that was not written here."""
    return any(part.lower() in VENDORED for part in PurePosixPath(path).parts)


def select(entries: Iterable[Mapping[str, Any]]) -> list[RepositoryFile]:
    """The files worth reading, in order, among the entries of a git tree as the REST API lists them."""
    found = (
        file_at(str(entry["path"]), str(entry["sha"]), int(entry.get("size") or 0))
        for entry in entries
        if entry["type"] == "blob" and entry["mode"] != _SYMLINK
    )
    return sorted((file for file in found if file), key=lambda file: file.order)


def file_at(path: str, blob_sha: str, byte_size: int) -> RepositoryFile | None:
    """The file if it is worth reading, by its name and size."""
    name = PurePosixPath(path).name.lower()
    suffix = PurePosixPath(name).suffix
    if is_vendored(str(PurePosixPath(path).parent)) or name in LOCK_FILES or name.endswith(GENERATED_ENDINGS):
        return None
    mime_type = "text/plain" if name == "readme" else DOCUMENT_TYPES.get(suffix)
    language = None if mime_type else LANGUAGES.get(suffix) or LANGUAGES_BY_NAME.get(name)
    if mime_type is None and (language is None or byte_size > MAX_CODE_BYTES):
        return None
    return RepositoryFile(path, blob_sha, byte_size, mime_type or "text/plain", language)


def is_binary(body: bytes) -> bool:
    """Whether bytes named like code are something else; UTF-16 has NULs too, after a byte order mark."""
    return b"\0" in body[:8000] and not body.startswith(_BYTE_ORDER_MARKS)


def is_large_file_pointer(body: bytes) -> bool:
    """Whether git only holds a pointer, the file itself being in Git LFS."""
    return len(body) < 1024 and body.startswith(b"version https://git-lfs.github.com/spec/")
