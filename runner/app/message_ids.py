"""Random message ids, drawn from the system's randomness many at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator

from runner.core.transfer.message import uuid4_text

_SIZE = 16
_AT_A_TIME = 256


class MessageIds:
    """Gives UUIDs of version 4 (RFC 9562).

    A call of the system for each would let the interpreter's lock go on every delivery's way.
    """

    def __init__(self) -> None:
        self._ids = self._draw()

    def new(self) -> str:
        """Return an id that was never given before."""
        return next(self._ids)

    def _draw(self) -> Iterator[str]:
        while True:
            drawn = os.urandom(_SIZE * _AT_A_TIME)
            for start in range(0, len(drawn), _SIZE):
                yield uuid4_text(drawn[start : start + _SIZE])
