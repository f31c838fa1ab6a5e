"""What a shell completes from files: environments of a manifest, runs and keys of a journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runner.app.find_journal import JournalOptions, find_journal
from runner.app.status import MOST_RUNS
from runner.journals import journal_at
from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector

MOST_KEYS = 200
"""Most keys that are offered."""


def environments_of(manifest: Path) -> Sequence[str]:
    """Return the names of a manifest's environments; none if it cannot be read."""
    problems = Collector()
    tree, _ = read_tree(manifest, problems)
    environments = tree.root.get("environments") if tree and isinstance(tree.root, dict) else None
    return list(map(str, environments)) if isinstance(environments, Mapping) else []


def run_ids(where: JournalOptions) -> Iterator[tuple[str, str]]:
    """Yield the journal's newest runs and what each was.

    Raises `UsageError`, `ManifestInvalid` or `StorageError` if the journal cannot be found or read.
    """
    with journal_at(find_journal(where)).open_history() as history:
        for run in history.runs(MOST_RUNS):
            ended = run.record.outcome if run.finished else "not ended"
            yield run.record.id, f"{run.record.batch}, {run.record.started_at}, {ended}"


def held_keys(where: JournalOptions, run_id: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of a run's transfers in doubt, and why each is.

    Raises the same errors.
    """
    with journal_at(find_journal(where)).open_history() as history:
        for doubt in history.held_by_run(history.run(run_id).no, MOST_KEYS):
            yield doubt.key, doubt.reason or doubt.destination_uri
