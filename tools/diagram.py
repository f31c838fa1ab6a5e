"""Draws ARCHITECTURE.md's transition diagram from the program's transition table.

`make diagram` writes it between the markers; a test checks that it is up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from runner.core.transfer.states import FINAL, TABLE, State

DOCUMENT = Path(__file__).parents[1] / "ARCHITECTURE.md"
BEGIN = "<!-- made from core.transfer.states.TABLE by `make diagram` -->\n"
END = "<!-- end of the diagram -->\n"


def diagram() -> str:
    """Return the table as a mermaid state diagram."""
    lines = ["```mermaid", "stateDiagram-v2", *(f"    {line}" for line in _lines()), "```", ""]
    return "\n".join(lines)


def transitions() -> str:
    """Return the table in Markdown, for pages on which no mermaid is drawn."""
    lines = ["| from | by | to |", "| --- | --- | --- |"]
    for state, ways in TABLE.items():
        for after, events in groupby(sorted(ways.items(), key=_target), key=_target):
            lines.append(f"| {state} | {', '.join(event for event, _ in events)} | {after} |")
    final = ", ".join(sorted(state for state in State if state in FINAL))
    return "\n".join([*lines, "", f"A transfer begins `ready`; {final} are final.", ""])


def _lines() -> Iterator[str]:
    yield f"[*] --> {State.READY}"
    for state, ways in TABLE.items():
        for after, events in groupby(sorted(ways.items(), key=_target), key=_target):
            yield f"{state} --> {after}: {', '.join(event for event, _ in events)}"
    for state in State:
        if state in FINAL:
            yield f"{state} --> [*]"


def _target(way: tuple[str, State]) -> str:
    return way[1]


def drawn(document: str) -> str:
    """Return the document with the diagram between its markers."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + diagram() + END + after


if __name__ == "__main__":
    DOCUMENT.write_text(drawn(DOCUMENT.read_text("utf-8")), encoding="utf-8")
