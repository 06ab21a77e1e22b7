"""Files to take in: of folders, or written here in Markdown, HTML and DOCX; the same ones for the same count."""

import html
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Final

import docx

from backend.flows.import_folder.flow import find_files

#: Of ten documents.
_FORMATS: Final = ("md", "md", "md", "md", "html", "html", "html", "html", "docx", "docx")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it would be handed in."""

    name: str
    body: bytes


def read_files(folders: Sequence[Path]) -> list[File]:
    """The files of `folders`, each content once."""
    found: dict[bytes, File] = {}
    for folder in folders:
        for path in find_files(folder):
            body = path.read_bytes()
            found.setdefault(body, File(path.name, body))
    return list(found.values())


def write_files(count: int) -> list[File]:
    """`count` documents of some 2 to 60 KB of text, about 8 in the middle: English prose under headings, with lists and
    tables. The words are those of Python's own reference, which every Python brings along."""
    chance = random.Random(20)
    paragraphs = [
        " ".join(paragraph.split())
        for topic in sorted(topics)
        for paragraph in topics[topic].split("\n\n")
        if len(paragraph) > 120 and not paragraph.startswith((" ", "*", "+", ">"))
    ]
    return [_file(number, chance, paragraphs) for number in range(count)]


def _file(number: int, chance: random.Random, paragraphs: Sequence[str]) -> File:
    size = min(60_000, max(2_000, int(chance.lognormvariate(9.0, 0.8))))
    title = f"{_words(chance, paragraphs, 4)} {number}"
    sections: list[tuple[str, list[str]]] = []
    written = 0
    while written < size:
        body = [chance.choice(paragraphs) for _ in range(chance.randint(1, 5))]
        sections.append((_words(chance, paragraphs, chance.randint(2, 5)), body))
        written += sum(map(len, body))
    ending = _FORMATS[number % len(_FORMATS)]
    write = {"md": _markdown, "html": _html, "docx": _docx}[ending]
    return File(f"document-{number}.{ending}", write(chance, title, sections))


def _words(chance: random.Random, paragraphs: Sequence[str], count: int) -> str:
    words = [word.strip(".,;:()\"'*`") for word in chance.choice(paragraphs).split() if word[:1].isalpha()]
    return " ".join(words[:count]).capitalize() or "Notes"


def _markdown(chance: random.Random, title: str, sections: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    parts = [f"# {title}"]
    for heading, body in sections:
        parts += [f"{'#' * chance.randint(2, 3)} {heading}", *body]
        if chance.random() < 0.3:
            parts.append("\n".join(f"- {text[:80]}" for text in body))
        if chance.random() < 0.2:
            rows = "\n".join(f"| {text[:20]} | {chance.randint(1, 9999)} |" for text in body)
            parts.append(f"| Name | Value |\n|---|---|\n{rows}")
    return "\n\n".join(parts).encode()


def _html(chance: random.Random, title: str, sections: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for heading, body in sections:
        parts.append(f"<h{(level := chance.randint(2, 3))}>{html.escape(heading)}</h{level}>")
        parts += [f"<p>{html.escape(text)}</p>" for text in body]
        if chance.random() < 0.3:
            items = "".join(f"<li>{html.escape(text[:80])}</li>" for text in body)
            parts.append(f"<ul>{items}</ul>")
    menu = "".join(f'<li><a href="/{n}">Page {n}</a></li>' for n in range(12))
    return (
        f"<!doctype html><html><head><title>{html.escape(title)}</title><style>p {{ margin: 0 }}</style></head>"
        f"<body><nav><ul>{menu}</ul></nav><main>{''.join(parts)}</main><footer>Imprint</footer></body></html>"
    ).encode()


def _docx(chance: random.Random, title: str, sections: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    document = docx.Document()
    document.add_heading(title, 0)
    for heading, body in sections:
        document.add_heading(heading, chance.randint(1, 2))
        for text in body:
            document.add_paragraph(text)
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()
