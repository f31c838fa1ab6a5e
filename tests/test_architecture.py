"""ARCHITECTURE.md describes the program as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.core.transfer.states import TABLE
from tests.e2e.harness import environment
from tools.diagram import DOCUMENT, diagram, drawn
from tools.reach import CHANGES, files_of

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


def test_every_room_is_named() -> None:
    rooms = {path.name for path in (ROOT / "runner").iterdir() if (path / "__init__.py").exists()}
    for room in rooms:
        assert re.search(rf"`{room}/?`", TEXT), room


@pytest.mark.parametrize(
    "named", sorted(set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?|[a-z_]+\.py)`", TEXT)))
)
def test_every_file_and_folder_that_is_named_exists(named: str) -> None:
    assert any((folder / named).exists() for folder in (ROOT / "runner", ROOT))


def test_no_change_touches_more_files_than_the_table_says() -> None:
    """`make reach` writes the table; `python tools/reach.py --files` names the files."""
    for change in CHANGES:
        row = re.search(rf"^\| {change.title} \| .* \| (\d+) \|$", TEXT, re.MULTILINE)
        assert row, change.title
        assert len(files_of(change)) <= int(row[1]), files_of(change)


def test_no_transfer_takes_more_calls_to_the_socket_than_the_text_says() -> None:
    """`python tools/call_depth.py` lists them."""
    stated = re.search(r"takes (\d+) calls in (\d+) files", TEXT)
    assert stated
    command = [sys.executable, "tools/call_depth.py"]
    listed = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    ).stdout
    counted = re.search(r"^(\d+) calls in (\d+) files$", listed, re.MULTILINE)
    assert counted, listed
    assert 0 < int(counted[1]) <= int(stated[1]), listed
    assert int(counted[2]) <= int(stated[2]), listed


def test_it_is_a_page() -> None:
    """Decisions, contracts and figures have documents of their own."""
    assert len(TEXT.splitlines()) <= 140
