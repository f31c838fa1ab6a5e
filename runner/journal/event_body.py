"""What the audit chain keeps of an entry: the body of its event."""

from __future__ import annotations

from typing import Any

from runner.core.timestamps import timestamp
from runner.ports import Entry, Note

_OUTCOME_FIELDS = (
    "n",
    "message_id",
    "status",
    "reason",
    "latency_ms",
    "media",
    "correlation_id",
    "reason_code",
)
"""The fields of an outcome that the chain keeps, as far as they are known."""


def body_of(entry: Entry | Note, run_id: str) -> dict[str, Any]:
    """Return what the audit chain keeps of an entry."""
    body: dict[str, Any] = {"at": timestamp(entry.at), "event": entry.event, "run": run_id}
    if isinstance(entry, Note):
        return body | dict(entry.fields)
    row = entry.row
    body["key"] = row.key
    body["interaction_id"] = row.interaction_id
    body["transfer"] = entry.transfer_id
    body["state"] = entry.state
    if (intent := entry.intent) is not None:
        body["n"] = intent.n
        body["message_id"] = intent.message_id
        body["message"] = intent.text
        body["destination_uri"] = row.destination_uri
        body["media_index"] = intent.media_index
        body["hand_over"] = intent.hand_over.to_json()
        body["baseline"] = None if intent.baseline is None else intent.baseline.to_json()
        return body
    for name in _OUTCOME_FIELDS:
        if (value := getattr(entry, name)) is not None:
            body[name] = value
    return body
