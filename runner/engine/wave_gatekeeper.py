"""Keeps a wave from beginning until its pause, gates and confirmation are through.

See operations.md, "Between waves". Whatever holds for longer than `policy.answer_timeout` ends the
run, so that nothing hangs for ever.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from runner.core.gates import GateAnswer, Verdict, next_retry_s
from runner.core.number_text import counted, duration
from runner.core.transfer.outcome import Outcome
from runner.engine.admission import Admission
from runner.engine.metrics import RunMetrics
from runner.engine.rollout import Wave
from runner.engine.stop import StopSignal
from runner.ports import Clock, Journal, Note, Observer
from runner.ports.gates import Gates, Prompt

AGAIN = "run apply again to go on"


class WaveGatekeeper:
    """Holds waves back, and watches their gates while they are sent."""

    def __init__(
        self,
        *,
        gates: Gates | None,
        every_s: Mapping[str, float],
        prompt: Prompt,
        confirm_by: str,
        longest_hold_s: float,
        admission: Admission,
        journal: Journal,
        clock: Clock,
        observer: Observer,
        metrics: RunMetrics,
        stop_signal: StopSignal,
    ) -> None:
        self._gates = gates
        self._every_s = every_s
        self._prompt = prompt
        self._confirm_by = confirm_by
        self._longest_hold_s = longest_hold_s
        self._admission = admission
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._metrics = metrics
        self._stop_signal = stop_signal
        self._verdicts: dict[str, Verdict] = {}  # as they were last journalled
        self._confirmed = asyncio.Event()
        self._counts_before: Counter[Outcome] = Counter()  # when the last wave began
        self.decided: Callable[[str], Callable[[], Awaitable[Any]]] = lambda _what: _nothing
        self.question: str | None = None  # the confirmation that waits now
        self.waiting_for: str | None = None

    async def admit(self, wave: Wave) -> bool:
        """Wait until a wave may begin; False: the run is stopped."""
        conditions = wave.conditions
        if conditions and not wave.has_begun:
            await self._hold(wave)
        self._counts_before = Counter(self._metrics.outcomes)
        return not self._stop_signal.is_set

    def confirm(self) -> None:
        """Answer the confirmation that waits; it waits no more."""
        self.question = None
        self._confirmed.set()

    @asynccontextmanager
    async def watching(self, wave: Wave) -> AsyncIterator[None]:
        """Ask the wave's gates that have `every` again and again while it is sent."""
        watched = [name for name in wave.conditions.gates if name in self._every_s]
        tasks = [
            asyncio.create_task(self._stop_signal.guard(partial(self._watch, name, wave)))
            for name in watched
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for name in watched:
                self._admission.release(_holder(name))

    async def _hold(self, wave: Wave) -> None:
        conditions = wave.conditions
        try:
            if conditions.pause_s:
                await self._pause(wave)
            await self._pass_gates(wave)
            if conditions.confirm and not self._stop_signal.is_set:
                await self._confirm(wave)
                await self._pass_gates(wave)  # their answers are as old as the person took
        finally:
            self.waiting_for = self.question = None

    async def _pause(self, wave: Wave) -> None:
        pause_s = wave.conditions.pause_s
        self.waiting_for = f"the pause of {duration(pause_s)} before {wave}"
        self._observer.noticed(Note.WAVE_HELD, wave=wave.number, by="pause", seconds=pause_s)
        fields = {"wave": wave.number, "of": wave.of, "by": "pause", "seconds": pause_s}
        await self._journal.record(Note(Note.WAVE_HELD, self._clock.wall(), fields))
        await self._stop_signal.sleep(pause_s)

    async def _pass_gates(self, wave: Wave) -> None:
        """Ask the wave's gates in turn, again where a later one held: a pass is as old as that."""
        began = self._clock.now()
        held = [True]
        while any(held) and not self._stop_signal.is_set:
            held = [
                await self._pass(name, wave, self._set_waiting, began)
                for name in wave.conditions.gates
            ][1:]

    def _set_waiting(self, answer: GateAnswer | None, name: str) -> None:
        self.waiting_for = None if answer is None else _gate_text(name, answer)

    async def _watch(self, name: str, wave: Wave) -> None:
        while not self._stop_signal.is_set:
            await self._stop_signal.sleep(self._every_s[name])
            if not self._stop_signal.is_set:
                await self._pass(name, wave, self._hold_frames, self._clock.now())

    def _hold_frames(self, answer: GateAnswer | None, name: str) -> None:
        if answer is None:
            self._admission.release(_holder(name))
        else:
            self._admission.hold(_holder(name), _gate_text(name, answer))

    async def _pass(
        self,
        name: str,
        wave: Wave,
        held: Callable[[GateAnswer | None, str], None],
        began: float,
    ) -> bool:
        """Ask a gate until it passes or the run is stopped; return whether it held.

        `held` is called with what holds it. A hold that began at `began` ends the run when it is too
        long.
        """
        assert self._gates is not None  # noqa: S101 - a manifest with gates has them
        wait_s = 0.0
        while not self._stop_signal.is_set:
            answer = await self._stop_signal.unless_set(self._gates.ask(name))
            if answer is None or self._stop_signal.is_set:
                break
            await self._note(name, wave, answer)
            if answer.verdict is Verdict.PASS:
                held(None, name)
                break
            if answer.verdict is Verdict.FAIL:
                self._stop_signal.set_by_rule(
                    f"gate {name} failed at {wave}: {answer.text}; nothing further was sent; {AGAIN}"
                )
                break
            held(answer, name)
            left_s = began + self._longest_hold_s - self._clock.now()
            if left_s <= 0:
                self._end_hold(_gate_text(name, answer))
                break
            wait_s = next_retry_s(wait_s)
            await self._stop_signal.sleep(min(wait_s, left_s))
        return wait_s > 0

    async def _note(self, name: str, wave: Wave, answer: GateAnswer) -> None:
        """Journal and show a verdict, if it is another than before."""
        if self._verdicts.get(name) is answer.verdict:
            return
        self._verdicts[name] = answer.verdict
        self._metrics.decided += 1
        fields = {
            "gate": name,
            "wave": wave.number,
            "verdict": answer.verdict.value,
            "text": answer.text,
        }
        show = self._observer.noticed if answer.verdict is Verdict.PASS else self._observer.warned
        show(f"gate {name}: {answer.verdict}", wave=wave.number, why=answer.text)
        await self._journal.record(Note(Note.GATE, self._clock.wall(), fields))

    async def _confirm(self, wave: Wave) -> None:
        self._confirmed.clear()
        self.question = self._question(wave)
        self.waiting_for = f"the confirmation of {wave}"
        fields = {"wave": wave.number, "of": wave.of, "by": "confirm"}
        await self._journal.record(Note(Note.WAVE_HELD, self._clock.wall(), fields))
        self._observer.warned(
            f"{wave} waits to be confirmed", command=self._confirm_by, last_wave=self._last()
        )
        prompted = asyncio.ensure_future(self._prompt(self.question))
        waits = [
            prompted,
            asyncio.ensure_future(self._confirmed.wait()),
            asyncio.ensure_future(self._stop_signal.wait()),
        ]
        try:
            await asyncio.wait(
                waits, timeout=self._longest_hold_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self.question = None
            answer = prompted.result() if prompted.done() else None
            for task in waits:
                task.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        await self._settle(wave, answer)

    async def _settle(self, wave: Wave, answer: bool | None) -> None:  # noqa: FBT001 - an answer
        """Act on what came first: a command, an answer at the terminal, the time-out."""
        if self._confirmed.is_set() or self._stop_signal.is_set:
            return
        if answer is None:
            self._end_hold(f"the confirmation of {wave}")
            return
        await self.decided("continue" if answer else "decline")()
        if not answer:
            self._stop_signal.set_by_rule(
                f"{wave} was declined at the terminal; the rest was not begun; {AGAIN}"
            )

    def _end_hold(self, held_by: str) -> None:
        self._stop_signal.set_by_rule(
            f"{held_by}: not answered within {duration(self._longest_hold_s)}"
            f" (policy.answer_timeout); the rest was not sent; {AGAIN}"
        )

    def _question(self, wave: Wave) -> str:
        return f"Begin {wave} ({counted(wave.size)})? The last wave: {self._last()}"

    def _last(self) -> str:
        """Return the outcomes of the last wave, in words."""
        counts = Counter(self._metrics.outcomes)
        counts.subtract(self._counts_before)
        found = [f"{each.words} {counts[each]:,}" for each in Outcome if counts[each] > 0]
        return ", ".join(found) or "nothing was sent"


def _holder(gate: str) -> str:
    return f"gate {gate}"


def _gate_text(name: str, answer: GateAnswer) -> str:
    return f"gate {name} ({answer.verdict}: {answer.text})"


async def _nothing() -> None:
    """Journal nothing."""
