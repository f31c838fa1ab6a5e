"""What a shell completes from files: a manifest's environments and keys, a journal's runs and doubts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from runner.app.find_journal import JournalOptions, find_journal
from runner.app.status import MOST_RUNS
from runner.journals import journal_at
from runner.manifest.include import read_tree
from runner.manifest.problem_collector import Collector
from runner.manifest.rows.columns import Columns, delimiter_of
from runner.manifest.rows.row_file import BadRow, RowFile

MOST_KEYS = 200
"""Most keys that are offered."""

MOST_ROWS = 50_000
"""Most rows of a manifest and its files that are looked at for keys: a quarter of a second."""

LARGEST_MANIFEST = 2_000_000
"""Bytes of the largest manifest whose keys are offered: a third of a second."""


def environments_of(manifest: Path) -> Sequence[str]:
    """Return the names of a manifest's environments; none if it cannot be read."""
    problems = Collector()
    tree, _ = read_tree(manifest, problems)
    environments = tree.root.get("environments") if tree and isinstance(tree.root, dict) else None
    return list(map(str, environments)) if isinstance(environments, Mapping) else []


def manifest_keys(manifest: Path, begins: str) -> Iterator[str]:
    """Yield keys of a manifest's transfers that begin with a text, those of its files included.

    The time is bounded: not all keys of a large batch are offered, and none of what only a gateway
    knows. Raises `OSError` if the manifest cannot be read.
    """
    if manifest.stat().st_size > LARGEST_MANIFEST:
        return
    tree, _ = read_tree(manifest, Collector())
    transfers = tree.root.get("transfers") if tree and isinstance(tree.root, dict) else None
    if not isinstance(transfers, list):
        return
    rows = islice(_keys(transfers, manifest.parent), MOST_ROWS)
    yield from islice((key for key in rows if key.startswith(begins)), MOST_KEYS)


def _keys(transfers: Iterable[Any], folder: Path) -> Iterator[str]:
    for entry in transfers:
        if isinstance(entry, dict) and "from" in entry:
            with suppress(OSError, ValueError, TypeError, csv.Error, BadRow):
                yield from _keys_of_file(entry, folder)
        elif key := _key(entry, "key", "interaction_id"):
            yield key


def _keys_of_file(entry: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield the keys of a `from:` file, as far as it can be read."""
    path = (folder / str(entry["from"])).resolve()
    if not path.is_relative_to(folder.resolve()):
        return
    columns = entry.get("columns")
    parsed = Columns.parse(columns if isinstance(columns, dict) else {})
    names = [parsed.names.get(field, field) for field in ("key", "interaction_id")]
    file = RowFile(path, str(path), str(entry.get("encoding", "utf-8")).lower())
    with file.lines(Collector()) as lines:
        rows: Iterable[Any]
        if (delimiter := delimiter_of(path.name)) is not None:
            rows = csv.DictReader(lines, delimiter=str(entry.get("delimiter", delimiter)))
        else:
            rows = map(json.loads, filter(str.strip, lines))
        for row in rows:
            if key := _key(row, *names):
                yield key


def _key(row: Any, *names: str) -> str | None:
    """Return a row's key: of the fields with these names the first that has a value."""
    found = (row.get(name) for name in names) if isinstance(row, dict) else ()
    return next((value for value in found if isinstance(value, str) and value), None)


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
