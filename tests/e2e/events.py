"""A client of server-sent events, as strict as a browser's."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is its JSON."""

    name: str
    id: int
    data: dict[str, Any]


def events(response: httpx2.Response) -> Iterator[Event]:
    """The events of an open stream, until it is closed; comments and `retry` are passed over."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line == "":
            if "data" in fields:
                yield Event(fields["event"], int(fields["id"]), json.loads(fields["data"]))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            assert name in ("event", "id", "data", "retry"), line
            fields[name] = value
