"""One seed of a batch, its undo, and the batch's next runs, with deaths and colleagues in between."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from runner.app.revert import ReturnRows
from runner.core.exit_code import ExitCode
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.rows import TransferRow
from runner.engine.admission import STALE_S
from runner.engine.message_sender import FRESH_S
from runner.journal.sqlite.reader import Reader
from runner.staging.rows import Staging
from tests.simulation.builders import ELSEWHERE, EVERYTHING, HERE
from tests.simulation.evidence import Finding
from tests.simulation.gateway_state import ORIGIN_URI
from tests.simulation.judge import MOVED
from tests.simulation.ledger import Frame
from tests.simulation.life import NEVER, Doom
from tests.simulation.process import Parts
from tests.simulation.process_faults import LARGEST_STEP_S
from tests.simulation.scenario import (
    DRAINED_S,
    FINE_RUNS,
    REAL_PARTS,
    Scenario,
    Verdict,
    played,
)
from tests.simulation.simulation import Simulation

UNDO = "undo"

LONGEST_COMMIT_S = 0.3

WAITING = "queued"


class UndoScenario(Scenario):
    """As `Scenario`, with one batch, and an undo of one of its runs between the others."""

    def __init__(self, simulation: Simulation, folder: Path, parts: Parts) -> None:
        super().__init__(simulation, folder, parts)
        # Only a look-up before the delivery shows where to carry somebody back to.
        policy = replace(self._orders.policy, preflight=True)
        self._orders = replace(self._orders, policy=policy)
        self._elsewhere = HERE
        self._undone: str | None = None  # the run that is undone
        self._undo_runs = set[int]()
        self._back = Staging()

    async def play(self) -> list[Finding]:
        """Run until done, then judge all runs, and what the undo did."""
        with self._back:
            found = await super().play()
        return [*found, *(Finding(kind, what) for kind, what in self._broken())]

    async def _bad_days(self, morning: Staging, evening: Staging) -> None:
        del evening
        for _ in range(self._chance.choice((1, 1, 2))):
            await self._run("morning", morning, Doom.drawn(self._chance))
        self._write_undo()
        for _ in range(self._chance.choice((1, 2, 3)) if self._undone else 0):
            self._let_a_colleague_act()
            await asyncio.sleep(self._chance.choice((0.05, 1, 5, 60)) * self._chance.random())
            doom = Doom.drawn(self._chance)
            if self._chance.random() < 0.7:
                await self._undo(doom)
            else:
                await self._run("morning", morning, doom)

    async def _fine_day(self, morning: Staging, evening: Staging) -> None:
        """Carry back what may be, and then run the batch once more."""
        del evening
        self._gateway.heal()
        await asyncio.sleep(DRAINED_S)
        if self._promised.expires_s is not None:
            await asyncio.sleep(LARGEST_STEP_S)
        for _ in range(FINE_RUNS if self._undone else 0):
            if await self._undo(NEVER) is ExitCode.OK:
                break
        for _ in range(FINE_RUNS):
            again = await self._run("morning", morning, NEVER)
            if again is None or again.code is ExitCode.OK:
                break
        await asyncio.sleep(DRAINED_S)

    def _write_undo(self) -> None:
        """Write the undo of the newest run that moved somebody."""
        if not self._orders.journal.exists():
            return
        with closing(Reader(self._orders.journal)) as history:
            for run in history.runs(self._runs):
                for row, back_to in ReturnRows(history, run.record.id, run.no, ()).moves():
                    self._undone = run.record.id
                    written = TransferRow(
                        row.key, row.interaction_id, back_to, row.media, row.callbacks, row.source,
                        expected_destination_uri=row.destination_uri,
                    )  # fmt: skip
                    self._back.add(self._parts.return_row(written))
                if self._undone is not None:
                    break
        self._listed[UNDO] = self._back.count
        self._simulation.note("undo of", self._undone, self._back.count)

    async def _undo(self, doom: Doom) -> ExitCode | None:
        selection = replace(EVERYTHING, reverts=self._undone)
        ended = await self._run(UNDO, self._back, doom, selection)
        self._undo_runs.add(self._runs)
        return None if ended is None else ended.code

    def _let_a_colleague_act(self) -> None:
        """Let one interaction be moved, answered or ended by somebody else soon."""
        chance, state = self._chance, self._gateway.gateway_state
        moved = sorted({effect.interaction_id for effect in self._gateway.ledger.effects})
        if not moved or chance.random() < 0.4:
            return
        name = chance.choice(moved)
        after = chance.choice(((None, ELSEWHERE), ("active", None), ("completed", None)))
        self._simulation.after(
            chance.choice((0.0, 1.0, 20.0)) * chance.random(),
            lambda: state.change(name, state=after[0], uri=after[1]),
        )

    def _broken(self) -> Iterator[tuple[str, str]]:
        evidence, ledger = self._evidence([]), self._gateway.ledger
        for interaction_id in sorted({effect.interaction_id for effect in ledger.effects}):
            places = [move.destination_uri for move in ledger.moves(interaction_id)]
            if places[-1] == ORIGIN_URI:
                self._simulation.note("carried back", interaction_id)
            is_allowed = places in ([HERE], [HERE, ORIGIN_URI])
            if not is_allowed and not evidence.was_lied_about(interaction_id):
                yield "undo undone", f"{interaction_id} was moved to {places}"
        for frame in ledger.frames:
            if frame.run in self._undo_runs and not self._was_where_expected(frame):
                yield "moved from elsewhere", f"run {frame.run}: {frame.message_id}"
        yield from self._not_carried_back()

    def _was_where_expected(self, frame: Frame) -> bool:
        """Tell whether a look-up may have shown an interaction waiting where the batch moved it."""
        frames = self._gateway.ledger.of(frame.interaction_id)
        left_at = min(each.left_at for each in frames if each.message_id == frame.message_id)
        age_s = FRESH_S + STALE_S + LONGEST_COMMIT_S + self._promised.visible_s
        places = self._gateway.gateway_state.places(
            frame.interaction_id, left_at - age_s - self._simulation.stalled_s, left_at
        )
        return any(state == WAITING and uri == HERE for state, uri, _ in places)

    def _not_carried_back(self) -> Iterator[tuple[str, str]]:
        """Find who still waits where the undone run moved them, though nothing spoke against it."""
        undos = [run for run in self._ended if run.batch == UNDO]
        touched = self._gateway.ledger.touched
        for row in undos[-1].rows if undos else ():
            if row.interaction_id in touched or row.outcome in {*MOVED, Outcome.IN_DOUBT}:
                continue
            state, uri, _ = self._gateway.gateway_state.places(
                row.interaction_id, self._simulation.now, self._simulation.now
            )[-1]
            lied = self._evidence([]).was_lied_about(row.interaction_id)
            if (state, uri) == (WAITING, HERE) and not lied:
                yield "not carried back", f"{row.key} is {row.outcome}: {row.reason}"


def run_undo_seed(seed: int, parts: Parts = REAL_PARTS, *, tells: bool = False) -> Verdict:
    """Play one seed and judge it."""
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        return played(
            seed, lambda simulation: UndoScenario(simulation, Path(folder), parts), tells=tells
        )
