"""Reads the earlier transfers of interactions, page by page in one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

from runner.core.errors import StorageError
from runner.core.transfer.plan_decision import Claim
from runner.core.transfer.states import State
from runner.journal.sqlite.connection import DAMAGE, connect, damage

T = TypeVar("T")

PAGE = 1000
"""Interactions per query."""

# A damaged row of a run costs only the run's name, not the history of its interactions.
_CLAIMS = (
    "SELECT t.interaction, t.id, t.lineage, coalesce(runs.id, '?'), coalesce(runs.batch, '?'),"  # noqa: S608 - of constants
    " t.key, t.destination_uri, t.state, t.reason_code"
    " FROM transfers t LEFT JOIN runs ON runs.no = t.run"
    f" WHERE t.interaction IN ({','.join('?' * PAGE)})"
)


def claims_of(path: Path, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
    """Yield (mark, earlier transfers, oldest first) for each wanted interaction that has any.

    `wanted` is not read if the journal has no transfers. Raises `StorageError`.
    """
    try:
        with closing(connect(path)) as connection:
            connection.execute("BEGIN")  # one snapshot for all pages
            if connection.execute("SELECT 1 FROM transfers LIMIT 1").fetchone() is None:
                return
            reverts = _reverts(connection)
            pairs = iter(wanted)
            while page := list(islice(pairs, PAGE)):
                asked = [interaction for _, interaction in page]
                found = _page(connection, reverts, asked)
                for mark, interaction in page:
                    if interaction in found:
                        yield mark, found[interaction]
    except DAMAGE as error:
        raise StorageError(
            f"the history in the journal {path} cannot be read ({damage(error)});"
            " it may be damaged. Restore it from a copy, or name another with --journal"
        ) from error


def _reverts(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Return the run that each undo reverted, by the undo's run."""
    rows = connection.execute(
        "SELECT id, json_extract(record, '$.reverts') FROM runs"
        " WHERE instr(record, '\"reverts\"') AND json_valid(record)"
    )
    return {run_id: str(reverted) for run_id, reverted in rows if reverted is not None}


def _page(
    connection: sqlite3.Connection,
    reverts: Mapping[str, str],
    interactions: Sequence[str],
) -> dict[str, list[Claim]]:
    padding = [None] * (PAGE - len(interactions))
    found: dict[str, list[Claim]] = {}
    for interaction, *row in connection.execute(_CLAIMS, [*interactions, *padding]):
        found.setdefault(interaction, []).append(_claim(row, reverts))
    for history in found.values():
        if len(history) > 1:
            history.sort(key=lambda claim: claim.transfer_id)
    return found


def _claim(row: Sequence[object], reverts: Mapping[str, str]) -> Claim:
    transfer_id, lineage, run_id, batch, key, destination_uri, state, code = row
    if not isinstance(transfer_id, int) or not isinstance(lineage, int):
        raise TypeError("an id is not a number")  # of a damaged journal
    return Claim(
        transfer_id, lineage, str(run_id), str(batch), str(key), str(destination_uri),
        State(str(state)), None if code is None else str(code), reverts.get(str(run_id)),
    )  # fmt: skip
