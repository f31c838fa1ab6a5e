"""Which callbacks an outcome calls, and with what body (manifest.md, `callbacks`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from runner.core.manifest.model import Callback
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.rows import PlannedRow
from runner.ports import Notification


class CallbackFactory:
    """Makes the notifications of one run."""

    def __init__(
        self, callbacks: Mapping[str, Callback], *, run: str, batch: str, new_id: Callable[[], str]
    ) -> None:
        self._callbacks = callbacks
        self._run = run
        self._batch = batch
        self._new_id = new_id

    def about(
        self, row: PlannedRow, outcome: Outcome, reason: str | None, latency_ms: float | None
    ) -> tuple[Notification, ...]:
        """Return the notifications that a transfer's outcome calls for."""
        wanted = [
            name
            for name in row.callbacks
            if name in self._callbacks and outcome.value in self._callbacks[name].on
        ]
        if not wanted:
            return ()
        body = json.dumps(
            {
                "interaction_id": row.interaction_id,
                "key": row.key,
                "outcome": outcome,
                "reason": reason,
                "latency_ms": latency_ms,
                "run": self._run,
                "batch": self._batch,
            }
        )
        return tuple(Notification(self._new_id(), name, outcome, body) for name in wanted)
