"""Checks messages against their schema, once for each distinct shape (format verification)."""

from __future__ import annotations

import json

import jsonschema_rs

from runner.core.manifest.media import MediaMatrix
from runner.core.transfer.message import Message
from runner.schemas_lookup import schema


class FormatVerifier:
    """Checks `schemas/interaction-transfer.v1.schema.json` (protocol.md, "Request").

    Messages with the same media matrix differ only in ids and times, which the loader has checked.
    """

    def __init__(self) -> None:
        self._validator = jsonschema_rs.validator_for(schema("interaction-transfer.v1"))
        # By identity: equal matrices are few objects, and a hash costs more than a check.
        self._faults: dict[int, tuple[MediaMatrix, str | None]] = {}

    def find_fault(self, message: Message, media: MediaMatrix) -> str | None:
        """Return what is wrong with a message, or None."""
        found = self._faults.get(id(media))
        if found is None:
            found = self._faults[id(media)] = media, self._find(message.text)
        return found[1]

    def _find(self, text: str) -> str | None:
        message = json.loads(text)
        fault = next(iter(self._validator.iter_errors(message)), None)
        return None if fault is None else fault.message
