"""Causes and history of transfers as the page's text, in its rows and its table of reasons."""

from __future__ import annotations

from runner.core.records.run_record import TransferRecord
from runner.core.transfer.reasons import Cause


def cause_text(cause: Cause) -> str | None:
    """Return a text by which the page finds the transfers of a cause; None: no reason was given."""
    return ": ".join(filter(None, cause)) or None


def history_text(transfer: TransferRecord) -> str | None:
    """Return what is known of a transfer from before its outcome in this run; None: nothing."""
    parts = []
    if (earlier := transfer.earlier) is not None:
        parts.append(f"run {earlier.run}, batch {earlier.batch}, key {earlier.key}")
    if transfer.before is not None:
        parts.append(f"before that: {transfer.before}")
    return "; ".join(parts) or None
