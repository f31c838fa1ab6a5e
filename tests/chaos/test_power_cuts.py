"""The power fails at any moment: what was acknowledged is in the journal, and it is sound.

strace records every write, sync and rename of a real process; the disk is rebuilt as a power cut
could have left it (see `recording_disk`), and read by a fresh SQLite.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import quiet_environment
from tests.chaos.harness import GatewayProcess, Workspace, names
from tests.chaos.recording_disk import OPTIONS, Act, Kind, acts, cuts, message_ids
from tests.chaos.tally import Tally
from tests.chaos.traced import STRACE, require_strace
from tests.e2e.harness import ROOT
from tests.journal.builders import chain_is_whole, opened

CUTS = 5_000 if LARGE else 300
RUNS, TRANSFERS = (4, 120) if LARGE else (3, 40)
PAGES = "60"
_DURABLE = re.compile(rb"durable (\d+) (\w+)")


@dataclass(frozen=True, slots=True)
class Cuts:
    """What many power cuts came to."""

    tried: int
    losing: int  # cuts behind which an acknowledged record was missing
    broken: int  # cuts behind which the file was no sound journal

    def tally(self, fault: str, events: int) -> Tally:
        lost = tuple(f"cut {n}" for n in range(self.losing))
        broken = tuple(f"cut {n}" for n in range(self.broken))
        return Tally(fault, self.tried, events, None, 0, (), lost, broken)


def record(folder: Path, synchronous: str) -> list[Act]:
    """Record a process that writes a journal."""
    assert STRACE is not None
    disk, trace = folder / "disk", folder / "trace"
    disk.mkdir()
    writer = [sys.executable, "-m", "tests.chaos.journal_writer", str(disk / "journal.db")]
    subprocess.run(
        [STRACE, *OPTIONS, "-o", trace, *writer, str(RUNS), str(TRANSFERS), synchronous, PAGES],
        cwd=ROOT,
        env=quiet_environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return acts(trace, disk)


def cut_everywhere(folder: Path, happened: Sequence[Act], *, lies: bool = False) -> Cuts:
    """Cut the power at many points, and look at what is left."""
    first = next(i for i, act in enumerate(happened) if _DURABLE.match(act.content))
    span = range(first + 1, len(happened) + 1)
    points = sorted(random.Random(1).sample(span, min(CUTS, len(span))))
    losing = broken = done = 0
    seq, head = 0, ""
    for point in cuts(happened, points, folder / "left", 2, lies=lies):
        for act in happened[done:point]:
            if (said := _DURABLE.match(act.content)) is not None:
                seq, head = int(said[1]), said[2].decode()
        done = point
        left = folder / "left" / "journal.db"
        if not _is_sound(left):
            broken += 1
        elif not _knows(left, seq, head):
            losing += 1
    return Cuts(len(points), losing, broken)


def _is_sound(journal: Path) -> bool:
    """Tell whether SQLite, the audit chain and the program itself find the file whole."""
    if not journal.exists():
        return False
    try:
        with closing(sqlite3.connect(journal)) as connection:
            sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if sound and chain_is_whole(journal):
            store = opened(journal)
            store.recover(at=1_800_000_001.0)
            store.close()
            return True
    except sqlite3.Error:
        pass  # so broken that it cannot be asked
    return False


def _knows(journal: Path, seq: int, head: str) -> bool:
    with closing(sqlite3.connect(journal)) as connection:
        found = connection.execute("SELECT hash FROM events WHERE seq = ?", [seq]).fetchone()
    return found == (head,)


@pytest.fixture(scope="module")
def recorded(
    crew: Crew, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Future[list[Act]]]:
    """Record each kind of writer once, side by side."""
    require_strace()
    recordings = {
        kind: crew(record, tmp_path_factory.mktemp("record"), kind) for kind in ("FULL", "NORMAL")
    }
    return recordings.__getitem__


def test_no_acknowledged_record_is_lost_and_the_journal_is_sound(
    recorded: Callable[[str], Future[list[Act]]], tmp_path: Path, check: Callable[[Tally], None]
):
    """At hundreds of points: while it is made, written, checkpointed, closed, opened again."""
    happened = recorded("FULL").result()
    assert sum(act.kind is Kind.SYNC and act.path.endswith(".db") for act in happened) > RUNS
    said = sum(_DURABLE.match(act.content) is not None for act in happened)
    check(cut_everywhere(tmp_path, happened).tally("power cuts, journal alone", said))


def test_the_model_turns_red_without_full_synchronous(
    recorded: Callable[[str], Future[list[Act]]], tmp_path: Path
):
    """Planted fault: NORMAL does not sync at each commit, and loses what was acknowledged."""
    came_to = cut_everywhere(tmp_path, recorded("NORMAL").result())
    assert came_to.losing > came_to.tried // 10
    assert came_to.broken == 0, "WAL keeps it sound even so"


def test_the_model_turns_red_on_a_disk_that_lies(
    recorded: Callable[[str], Future[list[Act]]], tmp_path: Path
):
    """Planted fault: nothing that is synced is. Nobody can keep a promise on such a disk."""
    came_to = cut_everywhere(tmp_path, recorded("FULL").result(), lies=True)
    assert came_to.losing + came_to.broken > came_to.tried // 2


def test_every_frame_that_left_has_its_intent_on_the_disk(
    open_workspace: Callable[..., tuple[GatewayProcess, Workspace]],
    tmp_path: Path,
    check: Callable[[Tally], None],
):
    """The whole program, cut at each frame: whatever the gateway saw, the next run knows of."""
    require_strace()
    assert STRACE is not None
    gateway, workspace = open_workspace()
    expected = names(400 if LARGE else 60)
    path = workspace.write(expected, limits={"in_flight": 6})
    trace = tmp_path / "trace"
    ended = workspace.apply(path, before=[STRACE, *OPTIONS, "-o", str(trace)])
    assert ended.code == 0, ended
    happened = acts(trace, tmp_path / ".runner")
    ids = list(message_ids(happened))
    points = [i + 1 for i, left in enumerate(ids) if left]
    assert {each for left in ids for each in left} == {note["id"] for note in gateway.of("arrived")}
    left = tmp_path / "left"
    losing = broken = 0
    for point in cuts(happened, points, left, 3):
        sent = {each for together in ids[:point] for each in together}
        if not chain_is_whole(left / "foreign.db"):
            broken += 1
        elif not sent <= _intents(left / "foreign.db"):
            losing += 1
    came_to = Cuts(len(points), losing, broken)
    check(came_to.tally("power cuts, the whole program", len(points)))


def _intents(journal: Path) -> set[str]:
    with closing(sqlite3.connect(journal)) as connection:
        bodies = connection.execute("SELECT body FROM events").fetchall()
    told = [json.loads(body) for (body,) in bodies]
    return {each["message_id"] for each in told if each["event"] == "intent"}
