"""Reads from a run's events to which destinations it sent nothing any more: they were full for too long."""

from __future__ import annotations

import json
from collections.abc import Iterable

from runner.core.manifest.destinations import key_of
from runner.ports import Note

BODY = f'"event":"{Note.DESTINATION_GIVEN_UP}"'
"""What the bodies of such events contain."""


def given_up(bodies: Iterable[str]) -> frozenset[str]:
    """Return the keys of the destinations that such events name."""
    events = map(json.loads, bodies)
    return frozenset(key_of(event["uri"]) for event in events if "uri" in event)
