"""`runner resolve`, once its options are read."""

from __future__ import annotations

from runner.app.journal_location import JournalLocation, find_journal
from runner.app.resolve import Resolution, resolve
from runner.app.signals import Signals
from runner.cli.output import Console, boundary
from runner.console.results.resolution import Settled, render_settled, settled_to_json
from runner.core import next_steps
from runner.core.next_steps import Step


def resolve_transfer(
    console: Console,
    where: JournalLocation,
    *,
    run: str,
    key: str,
    word: str,
    reason: str,
    lock_timeout_s: float,
) -> None:
    """Settle a transfer in doubt by a person's word; tell what was done and what comes next."""
    Signals().install()
    with boundary(console, where.manifest):
        journal = find_journal(where)
        resolved = resolve(
            journal, run, key, Resolution(word), reason, lock_timeout_s=lock_timeout_s
        )
        found = resolved.found
        settled = Settled(
            run=found.run,
            key=found.row.key,
            interaction_id=found.row.interaction_id,
            destination_uri=found.row.destination_uri,
            outcome=resolved.outcome,
            by=resolved.by,
            reason=resolved.reason,
            callbacks=resolved.callbacks,
            doubts_left=resolved.doubts_left,
            steps=_steps(str(journal)) if resolved.doubts_left else (),
        )
        console.show(render_settled, settled_to_json, settled)


def _steps(journal: str) -> tuple[Step, ...]:
    return (Step("see what else is in doubt", next_steps.status(journal)),)
