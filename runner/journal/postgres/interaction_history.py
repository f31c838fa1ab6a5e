"""The history of interactions, read page by page in one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TypeVar

from runner.core.transfer.plan_decision import Claim
from runner.core.transfer.states import State
from runner.journal.postgres.batch import storable
from runner.journal.postgres.connection import JournalUrl, ask, connect
from runner.journal.postgres.reading import reading, reading_as_one

T = TypeVar("T")

PAGE = 1000
"""Interactions of one query."""

_CLAIMS = (
    "SELECT t.interaction, t.id, t.lineage, coalesce(r.id, '?'), coalesce(r.batch, '?'), t.key,"
    " t.destination_uri, t.state, t.reason_code,"
    " CASE WHEN position('\"reverts\"' IN r.record) > 0 THEN r.record::json->>'reverts' END"
    " FROM runner.transfers t LEFT JOIN runner.runs r ON r.lane = t.lane AND r.no = t.run"
    " WHERE t.lane = %(lane)s AND t.interaction = ANY(%(page)s) ORDER BY t.id"
)
_ANY = "SELECT 1 FROM runner.transfers WHERE lane = %(lane)s LIMIT 1"


def claims(
    url: JournalUrl, lane: int, wanted: Iterable[tuple[T, str]]
) -> Iterator[tuple[T, Sequence[Claim]]]:
    """Yield each mark whose interaction has a history, with its transfers, oldest first.

    Nothing is taken from `wanted` if the lane has no transfers. Raises `StorageError`.
    """
    with closing(connect(url)) as connection, reading(url), reading_as_one(connection):
        if not ask(connection, _ANY, {"lane": lane}):
            return
        pairs = iter(wanted)
        while page := list(islice(pairs, PAGE)):
            found: dict[str, list[Claim]] = {}
            names = [storable(interaction) for _, interaction in page]
            for name, *row in ask(connection, _CLAIMS, {"lane": lane, "page": names}):
                transfer_id, lineage, run, batch, key, uri, state, code, reverts = row
                claim = Claim(
                    transfer_id, lineage, run, batch, key, uri, State(state), code, reverts
                )
                found.setdefault(name, []).append(claim)
            for (mark, _), name in zip(page, names, strict=True):
                if name in found:
                    yield mark, found[name]
