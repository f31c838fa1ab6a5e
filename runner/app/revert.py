"""`revert`: writes the manifest that carries back what a run moved (recovery.md, "Claims")."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import yaml

from runner.core.errors import ManifestInvalid, StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.rules import check_destination
from runner.core.next_steps import RunArguments
from runner.core.records.run_record import RunRecord
from runner.core.transfer.canonical_form import canonical_interaction, same_destination
from runner.core.transfer.plan_decision import Claim, last_carried
from runner.core.transfer.reasons import Code
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import HELD, Event, State
from runner.journals import default_journal, journal_at
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import check_schema
from runner.manifest.yaml.source import read_source
from runner.manifest.yaml.tree_builder import build
from runner.ports.history import History

PAGE = 1000

ROWS_SUFFIX = ".jsonl"

_OF_THE_BATCH = frozenset({"transfers", "defaults", "media", "description", "exclude_from"})
"""Sections of the run's manifest that an undo has its own of, or does without."""

_WINDOWS = frozenset({"window", "windows"})


class NotReverted(StrEnum):
    """Why a transfer that the run moved is not carried back; the value is said of a number."""

    MOVED_ON = "moved on since: another run moved it last"
    CARRIED_BACK = "carried back already"
    ENDED = "has ended, as a later look-up showed"
    NO_BASELINE = "where it was before is not known: it was not looked up before it was moved"
    UNUSABLE = "where it was before is not a destination that a manifest can name"


class Unsettled(StrEnum):
    """Why it is not known whether the run moved a transfer."""

    IN_DOUBT = "in doubt: settle it first"


@dataclass(frozen=True, slots=True)
class Undo:
    """An undo that was written."""

    run: str
    batch: str
    manifest: Path
    rows: Path
    moved: int  # what the run moved, of the keys that were asked for
    reverted: int  # rows that carry it back
    left_out: Mapping[str, int]  # how many of the others, by reason
    is_changed: bool  # the run's manifest has changed since
    journal: JournalLocation | None  # to be named; None: it is found by default


class _Carried(NamedTuple):
    row: PlannedRow
    claims: Sequence[Claim]


def revert(
    location: JournalLocation, run: str, out: Path, *, only: Sequence[str], manifest: Path | None
) -> Undo:
    """Write `out`, and its rows beside it, to carry back what `run` moved.

    Raises `UsageError` for a run, a pattern or a place that cannot be used, `ManifestInvalid` for a
    run's manifest that cannot be read, `StorageError`.
    """
    journal = journal_at(location)
    with journal.open_history() as history:
        seen = history.run(run)
        record = seen.record
        source = _manifest_of(record, manifest)
        rows_path = out.with_suffix(ROWS_SUFFIX)
        _check_place(out, rows_path, source)
        root, is_changed = _sections(source, record)
        _check_only(only, history, seen.no)
        origins = _origins(history, seen.no)
        writer = _Writer(record.id, origins)
        rows = writer.rows(_carried(history, seen.no, only))
        _write(rows_path, rows)
    text = _text(record, root, writer.media, rows_path.name)
    _write(out, [text])
    default = default_journal(out, record.environment)
    is_default = default.path.resolve() == location.path.resolve()
    return Undo(
        record.id, record.batch, out, rows_path,
        moved=writer.moved, reverted=writer.reverted, left_out=dict(writer.left_out),
        is_changed=is_changed, journal=None if is_default else location,
    )  # fmt: skip
