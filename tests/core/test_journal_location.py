"""The name of a journal."""

from __future__ import annotations

import pytest

from runner.core.journal_location import JournalLocation


@pytest.mark.parametrize("text", ["/srv/j.db", "a b.db", "postgresql://db.example.net/journal"])
def test_it_is_shown_as_it_was_typed(text: str):
    assert str(JournalLocation(text)) == text
