"""What a report folder knows of the journal: it tells when one was deleted or restored.

Each run leaves the journal's lineage and head in its report folder before its first frame
(recovery.md, "Runs"). A journal that lacks a head that a run of the same batch and environment saw
is not the history it pretends to be. The registry of gateways says the same of all batches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from runner.core.errors import StorageError
from runner.core.manifest.model import Manifest
from runner.core.next_steps import spelt
from runner.journal.overview import Overview
from runner.journal.registry import GatewayEntry, KnownHistory
from runner.journal.store import Store
from runner.report.folder import WITNESS, open_folder


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one run saw of its journal. `seq` and `head` are the last event's."""

    run: str
    environment: str
    at: float  # seconds since the epoch
    journal: str
    lineage: str
    seq: int
    head: str


def write_checkpoint(store: Store, root: Path, manifest: Manifest, *, at: float) -> None:
    """Write the journal's head into the run's report folder. Raises `StorageError`."""
    witness = Checkpoint(
        store.run_id,
        manifest.environment.name,
        at,
        str(store.path.absolute()),
        store.lineage_id,
        store.seq,
        store.head,
    )
    with (
        open_folder(root, manifest.name, store.run_id) as folder,
        folder.writing(WITNESS) as stream,
    ):
        json.dump(asdict(witness), stream, indent=2)


def remember(entry: GatewayEntry, store: Store) -> None:
    """Write the journal, and its head, into the registry of gateways. Raises `StorageError`."""
    path = str(store.path.resolve())
    entry.write(
        KnownHistory(entry.origin, path, store.lineage_id, store.run_id, store.seq, store.head)
    )


class History(Protocol):
    """What a journal, opened to write or to read, can be asked."""

    path: Path
    lineage_id: str

    def has_event(self, seq: int, head: str) -> bool:
        """Tell whether the chain's event `seq` has the hash `head`."""

    def waived(self) -> frozenset[str]:
        """Return the heads that a run with --new-history did without."""


def check_checkpoint(
    journal: Path, history: History | None, root: Path, manifest: Manifest
) -> None:
    """Compare a journal (`history` None: there is none yet) with what the batch's runs saw of it.

    Raises `StorageError` if the journal lacks what any of them saw, or is a copy.
    """
    waived = history.waived() if history is not None else frozenset()
    for witness in _seen(root, manifest, history):
        if witness.head in waived:
            continue
        if (what := _contradiction(witness, history)) is None:
            if history is not None and is_copy(history, witness.journal):
                _refuse_copy(history, witness.journal)
            continue
        raise StorageError(
            f"run {witness.run} of this batch was journalled in {witness.journal}, but the journal"
            f" {journal.absolute()} {what}: it was deleted, restored from a copy, or another was"
            " named. What was moved since is not in it, and would be moved twice. Bring the right"
            " journal back (--journal), or, if you are sure that its history does not matter, apply"
            " with --new-history"
        )


def lost_heads(history: History, root: Path, manifest: Manifest) -> list[str]:
    """Return the heads that the batch's runs saw and the journal lacks."""
    return [
        witness.head
        for witness in _seen(root, manifest, history)
        if _contradiction(witness, history) is not None
    ]


def check_known(entry: GatewayEntry, journal: Path, history: History | None) -> None:
    """Compare a journal (`history` None: there is none yet) with the one the registry knows.

    Raises `StorageError` if the gateway's history is in another, or in more of this one.
    """
    known = entry.read()
    if known is None:
        return
    if history is None or history.lineage_id != known.lineage:
        if _tells_of_nothing(known):
            return
        where = f"the history of the gateway {entry.origin} is in the journal {known.journal}"
        else_ = "or, if you are sure that its history does not matter, apply with --new-history"
        if not Path(known.journal).exists():
            raise StorageError(
                f"{where} (last run {known.run}), which is not there any more: who was moved before"
                f" would be moved again. Bring it back, {else_}"
            )
        raise StorageError(
            f"{where} (last run {known.run}), and not in {journal.absolute()}: who was moved before"
            f" would be moved again. Name it with {_option(known.journal)}, {else_}"
        )
    if is_copy(history, known.journal):
        _refuse_copy(history, known.journal)
    if not history.has_event(known.seq, known.head):
        raise StorageError(
            f"the journal {journal.absolute()} is older than what run {known.run} saw of it: it was"
            " restored from a copy. What was moved since is not in it, and would be moved twice."
            f" Bring the right journal back (it was {known.journal}), or, if you are sure that its"
            " history does not matter, apply with --new-history"
        )


def _seen(root: Path, manifest: Manifest, history: History | None) -> list[Checkpoint]:
    """Return what the batch's runs saw of this environment's journal, or of this one; newest first.

    Newest by the chain's numbers: clocks are set, and witnesses are copied.
    """
    environment, lineage = manifest.environment.name, history and history.lineage_id
    seen = [
        witness
        for witness in _witnesses(root / manifest.name)
        if environment == witness.environment or lineage == witness.lineage
    ]
    return sorted(seen, key=lambda witness: witness.seq, reverse=True)


def _contradiction(witness: Checkpoint, history: History | None) -> str | None:
    """Return how a journal is not the one that a run saw; None: it is."""
    if history is None:
        return "does not exist"
    if witness.lineage != history.lineage_id:
        return "is another one"
    return None if history.has_event(witness.seq, witness.head) else "is older than that"


def is_copy(history: History, named: str) -> bool:
    """Tell whether a journal is a copy: where a run saw it, `named`, it still lies.

    A journal that was moved, and lies there no more, is none.
    """
    original = Path(named)
    try:
        if not original.is_file() or original.samefile(history.path):
            return False
    except OSError:  # it lies in a folder that may not be entered: no other run can use it either
        return False
    with Overview(original) as overview:
        return bool(overview.lineage_id == history.lineage_id)


def _refuse_copy(history: History, named: str) -> NoReturn:
    raise StorageError(
        f"the journal {history.path.absolute()} is a copy of {named}, which is still there: what"
        " either writes from now on is missing in the other, and would be moved twice. Name the"
        f" original with {_option(named)}, or, if the original is out of date, delete that"
    )


def _option(journal: str) -> str:
    """Return the option that names a journal, as it is typed in a shell."""
    return spelt(("--journal", journal))


def _tells_of_nothing(known: KnownHistory) -> bool:
    """Tell whether a known journal has never delivered anything: it is no history yet."""
    path = Path(known.journal)
    if not path.is_file():
        return False
    with Overview(path) as overview:
        return overview.lineage_id == known.lineage and not overview.last_transfer_id()


def _witnesses(folder: Path) -> Iterator[Checkpoint]:
    for path in folder.glob(f"*/{WITNESS}"):
        if path.parent.is_symlink():
            continue  # `latest`
        try:
            yield Checkpoint(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                f"{path} cannot be read ({error}), so nobody can tell whether the journal is whole;"
                " remove the file if its run does not matter, or apply with --new-history"
            ) from error
