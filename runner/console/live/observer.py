"""What a terminal shows of a run while it goes on; a thread draws it, the run only says what."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from runner.console.live.progress_text import Throughput
from runner.console.live.terminal_writer import TerminalWriter
from runner.console.live.view import PROBLEMS_SHOWN, View, Warned, lines
from runner.console.log.redaction import redact_value
from runner.ports import Progress


class LiveObserver:
    """Draws the view each time it is told where the run stands, which costs the run no writing.

    `now` gives monotonic seconds, `wall` seconds since the epoch. `title` heads the view, and the
    run has gone on for `since_s` already.
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
        """Leave it to the log, but for the run's name."""
        if event == "planned" and not self._title and "run" in fields:
            self._title = f"run {fields['run']}"

    def warned(self, event: str, **fields: Any) -> None:
        """Keep it among the last problems."""
        shown_fields = redact_value(fields)
        text = " ".join([event, *(f"{name}={value}" for name, value in shown_fields.items())])
        self._warnings.append(Warned(self._wall(), text))

    def progressed(self, progress: Progress) -> None:
        """Have it drawn."""
        now = self._now()
        self._pace.add(now, progress.settled)
        view = View(
            progress,
            at=self._wall(),
            title=self._title,
            elapsed_s=now - self._began,
            left_s=self._pace.left_s(progress.total),
            warnings=tuple(self._warnings),
        )
        self._writer.show(partial(lines, view))

    def close(self) -> None:
        """Have it taken off."""
        self._writer.show(None)
