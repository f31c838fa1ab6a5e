"""One row of a batch: as the manifest says it, and as a run's plan has it.

A field of a transfer is added here. `core.records.row_codec` derives from these classes what the
staged rows, the journal and plan files keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runner.core.frozen import frozen
from runner.core.manifest.media import MediaMatrix
from runner.core.transfer.lookup_verdict import FoundAt


@frozen
class TransferRow:
    """One transfer of the manifest, with defaults applied and names resolved."""

    key: str
    interaction_id: str
    destination_uri: str
    media: tuple[MediaMatrix, ...]  # the requested matrix, then the fallbacks in order
    callbacks: tuple[str, ...]  # names in `Manifest.callbacks`
    source: str  # "file:line", the file relative to the manifest's folder
    found_at: FoundAt | None = None  # where a selection found it
    expected_destination_uri: str | None = None  # it is moved from there alone; None: from anywhere


class RowColumns(NamedTuple):
    """Consecutive rows of the manifest, field by field: each has a value for every row."""

    key: Sequence[str]
    interaction_id: Sequence[str]
    destination_uri: Sequence[str]
    media: Sequence[tuple[MediaMatrix, ...]]
    callbacks: Sequence[tuple[str, ...]]
    source: Sequence[str]


@frozen
class PlannedRow(TransferRow):
    """One row of a plan, as the engine takes it up.

    `failed_as` is the code with which it was rejected or failed before, for the same destination,
    empty if that is not known: such a row is sent after all others. None: it was not.
    """

    n: int = -1  # its number in the plan, from 0; -1: the plan does not list it
    lineage: int | None = None
    was_elsewhere: bool = False  # by the history: carried to another destination before
    failed_as: str | None = None

    @property
    def turn(self) -> tuple[bool, int]:
        """The row's place in the order of sending."""
        return self.failed_as is not None, self.n
