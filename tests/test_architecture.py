"""ARCHITECTURE.md tells of the house as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from runner.core.transfer.states import TABLE
from tools.diagram import DOCUMENT, diagram, drawn

ROOT = Path(__file__).parents[1]
TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_the_diagram_is_made_from_the_table() -> None:
    """`make diagram` draws it anew."""
    assert drawn(TEXT) == TEXT


def test_the_diagram_shows_every_transition() -> None:
    arrows = re.findall(r"^ +(\w+) --> (\w+): (.*)$", diagram(), re.MULTILINE)
    shown = {(state, event, after) for state, after, es in arrows for event in es.split(", ")}
    assert shown == {
        (state.value, event.value, after.value)
        for state, ways in TABLE.items()
        for event, after in ways.items()
    }


def test_every_room_is_named_and_every_room_named_exists() -> None:
    rooms = {path.name for path in (ROOT / "runner").iterdir() if (path / "__init__.py").exists()}
    files = {path.relative_to(ROOT / "runner") for path in (ROOT / "runner").rglob("*.py")}
    for room in rooms:
        assert f"`{room}/`" in TEXT
    for named in re.findall(r"`([a-z_]+/)?([a-z_]+\.py)`", TEXT):
        known = {path.as_posix() for path in files}
        path = "".join(named)
        assert path in known or any(each.endswith(f"/{path}") for each in known), path
