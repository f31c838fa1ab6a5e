"""What the runs of one batch left, of whatever database: see `core.pacing.batch_so_far`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from runner.core.pacing.batch_so_far import EarlierRuns, LastTransfer
from runner.core.transfer.states import State

EVENTS = ("run begun", "wave begun", "control", "pause ended")
"""The events that say where a batch stands."""


def earlier_runs(
    first: int,
    events: Iterable[tuple[int, str]],
    transfers: Iterable[tuple[int, int, str, str, str | None]],
) -> EarlierRuns:
    """Return what the run with the number `first`, and those that continue it, have done.

    `events` are number of the run and body, from that run on, oldest first; `transfers` are number
    of the run, id, interaction in its canonical form, state and code, oldest first.
    """
    found = [(run, json.loads(body)) for run, body in events]
    first_id = next((str(body["run"]) for run, body in found if run == first), "")
    runs = {first} | {
        run
        for run, body in found
        if body["event"] == "run begun" and body.get("continues") == first_id
    }
    return EarlierRuns(
        first_id,
        {
            interaction: LastTransfer(number, State(state), code)
            for run, number, interaction, state, code in transfers
            if run in runs
        },
        [body for run, body in found if run in runs and body["event"] != "run begun"],
    )
