"""Generates random message ids."""

from __future__ import annotations

import os
from collections.abc import Iterator

from runner.core.transfer.message import uuid4_text

_SIZE = 16
_AT_A_TIME = 256


class MessageIds:
    """Generates UUIDs of version 4 (RFC 9562).

    Random bytes are read for many ids at once: a system call for each would release the
    interpreter's lock during every delivery.
    """

    def __init__(self) -> None:
        self._ids = self._draw()

    def new(self) -> str:
        """Return a new id."""
        return next(self._ids)

    def _draw(self) -> Iterator[str]:
        while True:
            drawn = os.urandom(_SIZE * _AT_A_TIME)
            for start in range(0, len(drawn), _SIZE):
                yield uuid4_text(drawn[start : start + _SIZE])
