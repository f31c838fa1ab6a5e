"""What a report folder knows of the journal: it tells when one was deleted or restored.

Each run leaves the journal's lineage and head in its report folder before its first frame
(recovery.md, "Runs"). A journal that does not have the head that the newest run of the same batch
and environment saw is not the history it pretends to be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from runner.core.errors import StorageError
from runner.core.manifest import Manifest
from runner.journal.store import Store
from runner.report.folder import WITNESS, open_folder


@dataclass(frozen=True, slots=True)
class Witness:
    """What one run saw of its journal. `seq` and `head` are the last event's."""

    run: str
    environment: str
    at: float  # seconds since the epoch
    journal: str
    lineage: str
    seq: int
    head: str


def leave_witness(store: Store, root: Path, manifest: Manifest, *, at: float) -> None:
    """Write the journal's head into the run's report folder. Raises `StorageError`."""
    witness = Witness(
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


class History(Protocol):
    """What a journal, opened to write or to read, can be asked."""

    lineage_id: str

    def has_event(self, seq: int, head: str) -> bool:
        """Tell whether the chain's event `seq` has the hash `head`."""


def check_witness(journal: Path, history: History | None, root: Path, manifest: Manifest) -> None:
    """Compare a journal (`history` None: there is none yet) with what the batch's newest run saw.

    Raises `StorageError` if the journal does not have that history.
    """
    environment = manifest.environment.name
    witnesses = _witnesses(root / manifest.name)
    seen = [witness for witness in witnesses if witness.environment == environment]
    newest = max(seen, key=lambda witness: witness.at, default=None)
    if newest is None:
        return
    if history is None:
        what = "does not exist"
    elif newest.lineage != history.lineage_id:
        what = "is another one"
    elif not history.has_event(newest.seq, newest.head):
        what = "is older than that"
    else:
        return
    raise StorageError(
        f"run {newest.run} of this batch was journalled in {newest.journal}, but the journal"
        f" {journal.absolute()} {what}: it was deleted, restored from a copy, or another was"
        " named. What was moved since is not in it, and would be moved twice. Bring the right"
        " journal back (--journal), or, if you are sure that its history does not matter, apply"
        " with --new-history"
    )


def _witnesses(folder: Path) -> Iterator[Witness]:
    for path in folder.glob(f"*/{WITNESS}"):
        if path.parent.is_symlink():
            continue  # `latest`
        try:
            yield Witness(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                f"{path} cannot be read ({error}), so nobody can tell whether the journal is whole;"
                " remove the file if its run does not matter, or apply with --new-history"
            ) from error
