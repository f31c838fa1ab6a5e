"""Names a journal."""

from __future__ import annotations

from runner.core.frozen import frozen


@frozen
class JournalLocation:
    """A journal's name as it was given: the path of a file, or the URL of a database."""

    text: str

    def __str__(self) -> str:
        return self.text
