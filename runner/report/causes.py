"""Texts of causes and history for the page's rows and its table of reasons."""

from __future__ import annotations

from runner.core.records.run_record import TransferRecord
from runner.core.transfer.reasons import Cause


def cause_text(cause: Cause) -> str | None:
    """Return the text by which the page filters transfers of a cause; None without a cause."""
    return ": ".join(filter(None, cause)) or None


def history_text(transfer: TransferRecord) -> str | None:
    """Return what earlier runs did with a transfer, or None."""
    parts = []
    if (earlier := transfer.earlier) is not None:
        parts.append(f"run {earlier.run}, batch {earlier.batch}, key {earlier.key}")
    if transfer.before is not None:
        parts.append(f"before that: {transfer.before}")
    return "; ".join(parts) or None
