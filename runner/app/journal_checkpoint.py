"""Compares a journal with what earlier runs saw of it: shows one that was deleted or restored.

Each run leaves the journal's lineage and head in its report folder before its first frame
(docs/design/recovery.md, "One gateway, one history"). A journal that lacks a head that a run of the
same batch and environment saw was deleted or restored. The registry of gateways shows the same for
all batches.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from runner.core.errors import StorageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import Manifest
from runner.core.next_steps import shell_line, status
from runner.journals import journal_at
from runner.manifest.regular_file import open_regular
from runner.ports.history import EventSource
from runner.ports.journal_access import GatewayEntry, JournalAccess, JournalStore, KnownHistory
from runner.report.safe_folder import WITNESS, open_folder

LARGEST_BYTES = 1 << 20
"""Of a file that a run left."""


@frozen
class Checkpoint:
    """The journal as one run saw it. `seq` and `head` are the last event's."""

    run: str
    environment: str
    at: float  # seconds since the epoch
    journal: str
    lineage: str
    seq: int
    head: str
    adoption: str = ""  # the last one of the database that it saw


@frozen
class Checkpoints:
    """What runs saw of a journal: those of a batch in its report folder, all in the registry.

    `entry` None: the gateway is not registered.
    """

    journal: JournalAccess
    entry: GatewayEntry | None
    root: Path  # of the reports
    manifest: Manifest

    def check(self, history: EventSource | None) -> None:
        """Compare the journal with all of them; `history` None: there is no journal yet.

        Raises `StorageError` if the journal lacks what any of them saw, or is a copy.
        """
        try:
            if self.entry is not None:
                _check_registry(self.entry, self.journal, history)
            _check_reports(self.journal, history, self.root, self.manifest)
        except StorageError as error:
            if (split := self._split()) is not None:
                raise StorageError(split) from error
            raise

    def _split(self) -> str | None:
        """Return how to go on where the registry and the batch's reports name different journals.

        Each of the two would be refused because of the other. None: one of them will do.
        """
        known = None if self.entry is None else self.entry.read()
        if known is None or _is_without_transfers(known) or not _at(known.journal).is_reachable():
            return None
        with _at(known.journal).open_history() as other:
            waived = other.waived()
            elsewhere = (
                each
                for each in _seen(self.root, self.manifest, other)
                if each.lineage != other.lineage_id and each.head not in waived
            )
            seen = next(elsewhere, None)
        return None if seen is None else _split_text(known, seen)

    def lost_heads(self, history: EventSource) -> list[str]:
        """Return the heads that the batch's runs saw and the journal lacks."""
        return [
            checkpoint.head
            for checkpoint in _seen(self.root, self.manifest, history)
            if _contradiction(checkpoint, history) is not None
        ]

    def write(self, store: JournalStore, *, at: float) -> None:
        """Write the journal's head into the run's report folder and into the registry.

        Raises `StorageError`.
        """
        provenance = store.provenance()
        adoption = provenance.adoptions[-1] if provenance.adoptions else ""
        checkpoint = Checkpoint(
            store.run_id,
            self.manifest.environment.name,
            at,
            self.journal.address,
            store.lineage_id,
            store.seq,
            store.head,
            adoption,
        )
        with (
            open_folder(self.root, self.manifest.name, store.run_id) as folder,
            folder.writing(WITNESS) as stream,
        ):
            json.dump(_without_nothing(asdict(checkpoint)), stream, indent=2)
        if self.entry is not None:
            self.entry.write(
                KnownHistory(
                    self.entry.origin,
                    self.journal.real_address,
                    store.lineage_id,
                    store.run_id,
                    store.seq,
                    store.head,
                    provenance.server,
                    adoption,
                )
            )


def _split_text(known: KnownHistory, seen: Checkpoint) -> str:
    if _at(seen.journal).is_reachable():
        look = f"`{shell_line(status(seen.journal, seen.run))}` shows the run"
    else:
        look = f"{seen.journal} is not there any more, its reports are"
    return (
        f"the history of the gateway {known.origin} is in two journals, and neither has the whole:"
        f" run {seen.run} of this batch wrote {seen.journal}, and the last run of this host"
        f" ({known.run}) wrote {known.journal}. Go on with the second, and keep who is only in the"
        f" first out of the batch (exclude_from), for they would be moved again ({look}). Then apply"
        f" once with {_option(known.journal)} --new-history"
    )


def _without_nothing(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only databases have."""
    return {name: value for name, value in fields.items() if value != ""}


def _check_reports(
    journal: JournalAccess, history: EventSource | None, root: Path, manifest: Manifest
) -> None:
    """Raise `StorageError` if the journal lacks what any run of the batch saw, or is a copy."""
    waived = history.waived() if history is not None else frozenset()
    for checkpoint in _seen(root, manifest, history):
        if checkpoint.head in waived:
            continue
        if (what := _contradiction(checkpoint, history)) is None:
            if history is not None and _is_copy(journal, history, checkpoint.journal):
                _refuse_copy(journal, checkpoint.journal)
            continue
        raise StorageError(
            f"run {checkpoint.run} of this batch was journalled in {checkpoint.journal}, but the journal"
            f" {journal.address} {what}: it was deleted, restored from a copy, or another was"
            " named. What was moved since is not in it, and would be moved twice. Bring the right"
            f" journal back (--journal), or, if you are sure that its history does not matter,"
            f" {_accept(journal, history)}"
        )


def _check_registry(
    entry: GatewayEntry, journal: JournalAccess, history: EventSource | None
) -> None:
    """Raise `StorageError` if the gateway's history is in another journal, or in more of this one."""
    known = entry.read()
    if known is None:
        return
    if history is None or history.lineage_id != known.lineage:
        if _is_without_transfers(known):
            return
        where = f"the history of the gateway {entry.origin} is in the journal {known.journal}"
        else_ = "or, if you are sure that its history does not matter, apply with --new-history"
        if not _at(known.journal).exists():
            raise StorageError(
                f"{where} (last run {known.run}), which is not there any more: who was moved before"
                f" would be moved again. Bring it back, {else_}"
            )
        raise StorageError(
            f"{where} (last run {known.run}), and not in {journal.address}: who was moved before"
            f" would be moved again. Name it with {_option(known.journal)}, {else_}"
        )
    if _is_copy(journal, history, known.journal):
        _refuse_copy(journal, known.journal)
    provenance = history.provenance()
    if provenance.covers(known.adoption):
        return
    if _is_back(known.server, provenance.server):
        raise StorageError(
            f"the database of the journal {journal.address} is an old server that is back: run"
            f" {known.run} wrote on a later timeline ({known.server}, and here {provenance.server})."
            " What was moved there is not in it, and would be moved twice. Name the server that"
            f" took over, or {_accept(journal, history)}"
        )
    if not history.has_event(known.seq, known.head):
        raise StorageError(
            f"the journal {journal.address} is older than what run {known.run} saw of it: it was"
            " restored from a copy. What was moved since is not in it, and would be moved twice."
            f" Bring the right journal back (it was {known.journal}), or, if you are sure that its"
            f" history does not matter, {_accept(journal, history)}"
        )


def _seen(root: Path, manifest: Manifest, history: EventSource | None) -> list[Checkpoint]:
    """Return what the batch's runs saw of this environment's journal, or of this one; newest first.

    Newest by the chain's numbers: clocks are set, and checkpoints are copied.
    """
    environment, lineage = manifest.environment.name, history and history.lineage_id
    seen = [
        checkpoint
        for checkpoint in _checkpoints(root / manifest.name)
        if environment == checkpoint.environment or lineage == checkpoint.lineage
    ]
    return sorted(seen, key=lambda checkpoint: checkpoint.seq, reverse=True)


def _contradiction(checkpoint: Checkpoint, history: EventSource | None) -> str | None:
    """Return how a journal is not the one that a run saw; None: it is."""
    if history is None:
        return "does not exist"
    if checkpoint.lineage != history.lineage_id:
        return "is another one"
    is_known = history.has_event(checkpoint.seq, checkpoint.head)
    is_covered = is_known or history.provenance().covers(checkpoint.adoption)
    return None if is_covered else "is older than that"


def _is_copy(journal: JournalAccess, history: EventSource, named: str) -> bool:
    """Return whether a journal is a copy: where a run saw it, `named`, it still lies.

    A journal that was moved, and lies there no more, is none.
    """
    original = _at(named)
    if not original.is_reachable() or journal.is_same(original.location):
        return False
    with original.open_history() as other:
        return other.lineage_id == history.lineage_id


def _is_back(known: str, now: str) -> bool:
    """Return whether a cluster's timeline is an earlier one than a run wrote on."""
    system, _, timeline = known.partition("/")
    here, _, current = now.partition("/")
    return bool(timeline) and system == here and int(current) < int(timeline)


def _accept(journal: JournalAccess, history: EventSource | None) -> str:
    """Return how a person accepts a journal that lacks what runs saw."""
    if history is None or not history.provenance().server:
        return "apply with --new-history"
    adopt = ("runner", "journal", "adopt", journal.address, "--reason", "TEXT")
    return f"accept it with: {shell_line(adopt)}"


def _at(address: str) -> JournalAccess:
    return journal_at(JournalLocation(address))


def _refuse_copy(journal: JournalAccess, named: str) -> NoReturn:
    """Refuse a copy; a database is never to be deleted: it has the history of other lanes too."""
    delete = "" if "://" in named else ", or, if the original is out of date, delete that"
    raise StorageError(
        f"the journal {journal.address} is a copy of {named}, which is still there: what"
        " either writes from now on is missing in the other, and would be moved twice. Name the"
        f" original with {_option(named)}{delete}"
    )


def _option(journal: str) -> str:
    """Return the option that names a journal, as it is typed in a shell."""
    return shell_line(("--journal", journal))


def _is_without_transfers(known: KnownHistory) -> bool:
    """Return whether a known journal has never delivered anything."""
    journal = _at(known.journal)
    if not journal.is_reachable():
        return False
    with journal.open_history() as history:
        return history.lineage_id == known.lineage and not history.last_transfer_id()


def _checkpoints(folder: Path) -> Iterator[Checkpoint]:
    """Yield what the runs of a batch's report folder saw; `latest`, a link, is none of them.

    Raises `StorageError` where that cannot be known.
    """
    for name in _runs_in(folder):
        path = folder / name / WITNESS
        try:
            with open_regular(path) as stream:
                yield _read(stream.read(LARGEST_BYTES))
        except FileNotFoundError:
            continue  # the folder of a plan
        except (OSError, ValueError, TypeError) as error:
            raise _unknown(path, error, "remove the file if its run does not matter") from error


def _runs_in(folder: Path) -> list[str]:
    """Return the names of a folder's folders. Not by `glob`, which leaves out what it cannot read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):  # a file: the report's check tells of it
        return []
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no report was ever there, either
            return []
        raise _unknown(folder, error, "make it readable") from error


def _read(text: bytes) -> Checkpoint:
    """Return the checkpoint in a file. Raises `ValueError`, `TypeError`."""
    found = Checkpoint(**json.loads(text))
    texts = (found.run, found.environment, found.journal, found.lineage, found.head, found.adoption)
    if not isinstance(found.seq, int) or not all(isinstance(each, str) for each in texts):
        raise ValueError("a field is not of its kind")
    return found


def _unknown(path: Path, error: Exception, fix: str) -> StorageError:
    return StorageError(
        f"{path} cannot be read ({error}), so it is unknown whether the journal is whole;"
        f" {fix}, or apply with --new-history"
    )
