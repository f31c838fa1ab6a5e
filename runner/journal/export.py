"""What one journal gives to another database: its tables, row by row, in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from runner.core.records.row_codec import ROW

TABLES: Mapping[str, tuple[str, ...]] = {
    "manifests": ("sha256", "excerpt"),
    "ladders": ("id", "media"),
    "runs": ("no", "id", "batch", "started_at", "record", "figures", "previous", "finished_at"),
    "rows": (
        "run", "n", *ROW.columns, "action", "reason", "claim", "lineage", "failed_as", "left_out",
    ),
    "transfers": (
        "id", "lineage", "run", "n", "key", "interaction_id", "destination_uri", "state", "version",
        "reason", "message_id", "latency_ms", "media", "interaction", "reason_code",
    ),
    "deliveries": (
        "transfer", "n", "run", "message_id", "media_index", "intent", "sent_at", "event",
        "settled_at", "latency_ms", "status", "reason", "correlation_id",
    ),
    "outbox": (
        "webhook_id", "transfer", "run", "callback", "outcome", "body", "state", "attempts",
        "reason",
    ),
    "events": ("seq", "run", "body", "hash"),
}  # fmt: skip
"""The columns of each table that every database has, in the order in which they are given."""

META = ("lineage", "environment", "origin", "waived")
"""What is known of the whole journal; `waived` may be missing."""


class Export(Protocol):
    """A journal that is locked, and is to go on in another database. Raises `StorageError`."""

    @property
    def address(self) -> str:
        """Where it is, for people."""

    @property
    def meta(self) -> Mapping[str, str]:
        """Its values of `META`."""

    @property
    def destination(self) -> str | None:
        """Where it was imported into, or begun to be; None: nowhere."""

    @property
    def last_event(self) -> tuple[int, str]:
        """Number and hash of the chain's last event."""

    def mark(self, destination: str) -> None:
        """Let every version of the program refuse it from now on, durably."""

    def unmark(self) -> None:
        """Take the mark back: nothing was imported."""

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of one of `TABLES`."""
