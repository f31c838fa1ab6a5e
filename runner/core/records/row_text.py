"""How media, callbacks' names and places are spelt in the journal's tables and in a staged manifest's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from runner.core.manifest.media import MediaMatrix
from runner.core.transfer.lookup_verdict import FoundAt


def write_ladder(media: Sequence[MediaMatrix]) -> str:
    """Return the JSON text of a requested matrix and its fallbacks."""
    return json.dumps([matrix.to_json() for matrix in media], separators=(",", ":"))


@lru_cache(maxsize=1024)
def read_ladder(text: str) -> tuple[MediaMatrix, ...]:
    """Read what `write_ladder` wrote."""
    return tuple(MediaMatrix.from_json(matrix) for matrix in json.loads(text))


@lru_cache(maxsize=1024)
def write_names(callbacks: tuple[str, ...]) -> str:
    """Return the JSON text of the callbacks' names."""
    return json.dumps(callbacks)


@lru_cache(maxsize=1024)
def read_names(text: str) -> tuple[str, ...]:
    """Read what `write_names` wrote."""
    return tuple(json.loads(text))


def write_found_at(found_at: FoundAt | None) -> str | None:
    """Return the JSON text of where a selection found an interaction; None: none did."""
    return None if found_at is None else json.dumps(found_at.to_json())


def read_found_at(text: str | None) -> FoundAt | None:
    """Read what `write_found_at` wrote."""
    return None if text is None else FoundAt.from_json(json.loads(text))
