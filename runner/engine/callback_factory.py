"""Makes the callbacks that an outcome calls for, with their bodies (manifest.md, `callbacks`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from runner.core.manifest.model import Callback
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.rows import PlannedRow
from runner.ports import Notification, OwnRun


class CallbackFactory:
    """Makes the notifications of one run."""

    def __init__(
        self, callbacks: Mapping[str, Callback], *, run: str, batch: str, new_id: Callable[[], str]
    ) -> None:
        self._callbacks = callbacks
        self._own = OwnRun(run, batch)
        self._new_id = new_id

    def about(
        self,
        row: PlannedRow,
        outcome: Outcome,
        reason: str | None,
        latency_ms: float | None,
        begun_by: OwnRun | None = None,
    ) -> tuple[Notification, ...]:
        """Return the notifications that a transfer's outcome calls for.

        Of another batch's transfer, `begun_by` a run of it, each callback that its row names is owed:
        that batch's own manifest says where they go, and which outcomes it wants.
        """
        is_own = begun_by is None or begun_by.batch == self._own.batch
        about = self._own if begun_by is None or is_own else begun_by
        wanted = [name for name in row.callbacks if not is_own or self._wants(name, outcome)]
        if not wanted:
            return ()
        body = json.dumps(
            {
                "interaction_id": row.interaction_id,
                "key": row.key,
                "outcome": outcome,
                "reason": reason,
                "latency_ms": latency_ms,
                "run": about.id,
                "batch": about.batch,
            }
        )
        return tuple(Notification(self._new_id(), name, outcome, body) for name in wanted)

    def _wants(self, name: str, outcome: Outcome) -> bool:
        callback = self._callbacks.get(name)
        return callback is not None and outcome.value in callback.on
