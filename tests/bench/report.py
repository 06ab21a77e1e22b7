"""What a bench prints, and writes as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

Row = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Report:
    """Rows of one table, all with the same keys; `notes` are printed below it and kept in the JSON."""

    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def show(self) -> None:
        """Prints the table for people."""
        console = Console(width=max(Console().width, 160))
        table = Table(title=self.title, title_justify="left")
        for name in self.rows[0] if self.rows else ():
            is_number = isinstance(self.rows[0][name], int | float)
            table.add_column(name, justify="right" if is_number else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*map(_cell, row.values()))
        console.print(table)
        for note in self.notes:
            console.print(note, markup=False, highlight=False)

    def write(self, path: Path) -> None:
        """Writes the rows as JSON: `{"title": …, "rows": […], "notes": […]}`."""
        body = {"title": self.title, "rows": list(map(dict, self.rows)), "notes": list(self.notes)}
        path.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _cell(value: str | int | float | bool | None) -> str:
    match value:
        case None:
            return ""
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case _:
            return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
