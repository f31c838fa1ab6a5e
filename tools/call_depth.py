"""Prints the calls from `main` to the socket for the first transfer of a run.

    python tools/call_depth.py [MANIFEST]

A task counts as called by the code that created it. Calls outside `runner` are left out, and the
generated frames of context managers too. The figure that matters is the last line's.
"""

# ruff: noqa: T201 - the list is the result of this script

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from runner.__main__ import main
from runner.gateways.websocket.transport import WebSocketTransport

ROOT = Path(__file__).resolve().parents[1]


class TracedTask(asyncio.Task[Any]):
    """A task that knows the calls that led to its creation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.creation = calls()  # first: a task may begin at once, and create others
        super().__init__(*args, **kwargs)


def calls() -> list[str]:
    """Return the calls within `runner`, outermost first, those that created the task included."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    here = list(_frames(sys._getframe(1)))  # noqa: SLF001 - the only way to the stack
    if not isinstance(task, TracedTask):
        return [_name(frame) for frame in reversed(here)]
    own = []  # the task's frames end where the loop's begin
    for frame in here:
        if frame.f_code.co_filename == asyncio.events.__file__:
            break
        own.append(_name(frame))
    return task.creation + own[::-1]


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _name(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(ROOT / "runner"):
        return ""
    return f"{path.relative_to(ROOT)}: {frame.f_code.co_qualname}"


def print_calls(manifest: Path) -> None:
    """Apply a manifest and print the calls that led to its first frame."""
    first: list[str] = []
    send = WebSocketTransport.send

    async def recorded(self: WebSocketTransport, text: str, *rest: Any) -> None:
        if not first:
            first.extend(call for call in calls() if call)
            first.append(f"runner/gateways/websocket/transport.py: {send.__qualname__}")
        await send(self, text, *rest)

    WebSocketTransport.send = recorded  # type: ignore[method-assign]
    asyncio.tasks.Task = TracedTask  # type: ignore[assignment, misc]
    with tempfile.TemporaryDirectory() as folder:
        sys.argv[1:] = [
            *("apply", str(manifest), "--limit", "1", "--quiet", "--output", "json"),
            *("--journal", f"{folder}/journal.db", "--report-dir", folder),
        ]
        with suppress(SystemExit):
            main()
    for number, call in enumerate(first, 1):
        print(f"{number:3} {call}")
    print(f"{len(first)} calls in {len({call.partition(':')[0] for call in first})} files")


if __name__ == "__main__":
    print_calls(Path(sys.argv[1] if sys.argv[1:] else ROOT / "manifests" / "demo.yaml"))
