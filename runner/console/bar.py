"""The progress bar that a terminal shows on stderr while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any, cast

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.console.progress import (
    Pace,
    in_words,
    left_text,
    outcome_counts,
    pace_text,
    share,
)
from runner.console.streams import LossyStream
from runner.console.text import visible
from runner.ports import Progress

REDRAW_S = 0.1
STYLES: Mapping[str, str] = {
    "transferred": "green",
    "unchanged": "green",
    "skipped": "green",
    "rejected": "red",
    "failed": "red",
    "in_doubt": "bold yellow",
}


class TerminalObserver:
    """Draws a bar and a line of counts, and redraws them at most ten times a second.

    What is written to `stream` meanwhile appears above the bar. `now` gives monotonic seconds.
    """

    def __init__(
        self,
        stream: LossyStream,
        now: Callable[[], float],
        *,
        color: bool = True,
        width: int | None = None,
    ) -> None:
        self._stream = stream
        self._now = now
        self._console = Console(
            file=cast("IO[str]", stream.direct),
            force_terminal=True,
            no_color=not color,
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._pace = Pace()
        self._live: Live | None = None
        self._drawn_at = float("-inf")
        self._undrawn: Progress | None = None

    def noticed(self, event: str, **fields: Any) -> None:
        """Leave it to the log."""

    def warned(self, event: str, **fields: Any) -> None:
        """Leave it to the log."""

    def progressed(self, progress: Progress) -> None:
        """Redraw if it is time."""
        now = self._now()
        self._pace.add(now, progress.settled)
        self._undrawn = progress
        if now - self._drawn_at >= REDRAW_S:
            self._drawn_at = now
            self._draw()

    def close(self) -> None:
        """Draw the last state and leave it on the screen."""
        if self._live is not None:
            self._draw()
            self._stream.divert(None)
            self._live.stop()
            self._live = None

    def _draw(self) -> None:
        if self._undrawn is None:
            return
        picture = draw(self._undrawn, self._pace)
        self._undrawn = None
        if self._live is None:
            self._live = Live(
                picture,
                console=self._console,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
            self._stream.divert(self._above)
        else:
            self._live.update(picture, refresh=True)

    def _above(self, text: str) -> None:
        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)


def draw(progress: Progress, pace: Pace) -> Group:
    """Return the bar and, beneath it, what became of the transfers."""
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1, min_width=8)
    for _ in range(2):
        row.add_column(no_wrap=True, justify="right")
    figures = f"{progress.settled:,}/{progress.total:,} {share(progress)}%"
    bar = ProgressBar(
        total=max(1, progress.total), completed=progress.settled if progress.total else 1
    )
    speed = ", ".join(
        part for part in (pace_text(progress, pace), left_text(progress, pace)) if part
    )
    row.add_row(bar, Text(figures), Text(speed))
    return Group(row, _counts(progress))


def _counts(progress: Progress) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for name, n in outcome_counts(progress.outcomes).items():
        line.append(f"{in_words(name)} {n:,}", STYLES.get(name, "")).append("  ")
    line.append(f"in flight {progress.in_flight:,}")
    if progress.waiting_for:
        line.append(f"  waiting for {visible(progress.waiting_for)}", "yellow")
    return line
