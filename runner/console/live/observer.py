"""Draws a run's progress as a live view, through a thread that writes to the terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from runner.console.live.progress_text import Throughput
from runner.console.live.terminal_writer import TerminalWriter
from runner.console.live.view import PROBLEMS_SHOWN, View, Warned, lines
from runner.console.log.redaction import redact_value
from runner.core.timestamps import seconds
from runner.ports import Progress


class LiveObserver:
    """Hands a new view to the terminal's writer for each report of progress; never blocks.

    `now` returns monotonic seconds, `wall` seconds since the epoch. `title` heads the view. The run
    began `since_s` seconds ago.
    """

    def __init__(
        self,
        writer: TerminalWriter,
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
        title: str = "",
        since_s: float = 0.0,
    ) -> None:
        self._writer = writer
        self._now = now
        self._wall = wall
        self._title = title
        self._began = now() - since_s
        self._pace = Throughput()
        self._warnings: deque[Warned] = deque(maxlen=PROBLEMS_SHOWN)

    def noticed(self, event: str, **fields: Any) -> None:
        """Keep the run's id for the title, its begin, and decisions; the log has the rest."""
        if event == "planned" and not self._title and "run" in fields:
            self._title = f"run {fields['run']}"
        if event == "planned" and "started_at" in fields:
            self._began = self._now() - max(0.0, self._wall() - seconds(fields["started_at"]))
        if event.startswith(("control: ", "gate ")):
            self.warned(event, **fields)

    def warned(self, event: str, **fields: Any) -> None:
        """Add it to the last problems."""
        shown_fields = redact_value(fields)
        text = " ".join([event, *(f"{name}={value}" for name, value in shown_fields.items())])
        self._warnings.append(Warned(self._wall(), text))

    def progressed(self, progress: Progress) -> None:
        """Draw the progress."""
        now = self._now()
        self._pace.add(now, progress)
        view = View(
            progress,
            at=self._wall(),
            title=self._title,
            elapsed_s=now - self._began,
            left_s=self._pace.left_s,
            warnings=tuple(self._warnings),
        )
        self._writer.show(partial(lines, view))

    def close(self) -> None:
        """Erase the view."""
        self._writer.show(None)
