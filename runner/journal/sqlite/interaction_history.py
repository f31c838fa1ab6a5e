"""Reads the earlier transfers of interactions, page by page in one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

from runner.core.errors import StorageError
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.plan_decision import Claim
from runner.core.transfer.states import State
from runner.journal.sqlite.connection import DAMAGE, connect, damage, has_column

T = TypeVar("T")

PAGE = 1000
"""Interactions per query."""

# A damaged row of a run costs only the run's name, not the history of its interactions.
_CLAIMS = (
    "SELECT {interaction}, t.id, t.lineage, coalesce(runs.id, '?'), coalesce(runs.batch, '?'),"
    " t.key, t.destination_uri, t.state, {code}"
    " FROM {transfers} LEFT JOIN runs ON runs.no = t.run WHERE {interaction} IN ({page})"
)
_PAGE = ",".join("?" * PAGE)
_BY_INDEX = {"interaction": "t.interaction", "transfers": "transfers t"}
_BY_SPELLING = {
    "interaction": "s.interaction",
    "transfers": "temp.spellings s JOIN transfers t ON t.id = s.transfer",
}
_SPELLINGS = """
CREATE TEMP TABLE spellings AS
  SELECT canonical_interaction(interaction_id) AS interaction, id AS transfer FROM transfers;
CREATE INDEX temp.by_interaction ON spellings(interaction);
"""


def claims_of(path: Path, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
    """Yield (mark, earlier transfers, oldest first) for each wanted interaction that has any.

    `wanted` is not read if the journal has no transfers. Raises `StorageError`.
    """
    try:
        with closing(connect(path)) as connection:
            connection.execute("BEGIN")  # one snapshot for all pages
            if connection.execute("SELECT 1 FROM transfers LIMIT 1").fetchone() is None:
                return
            query, reverts = _query(connection), _reverts(connection)
            pairs = iter(wanted)
            while page := list(islice(pairs, PAGE)):
                asked = [interaction for _, interaction in page]
                found = _page(connection, query, reverts, asked)
                for mark, interaction in page:
                    if interaction in found:
                        yield mark, found[interaction]
    except DAMAGE as error:
        raise StorageError(
            f"the history in the journal {path} cannot be read ({damage(error)});"
            " it may be damaged. Restore it from a copy, or name another with --journal"
        ) from error


def _query(connection: sqlite3.Connection) -> str:
    """Return the query of a page.

    A journal that an earlier version wrote lacks the canonical form of interactions until a run
    opens it to write: a temporary table then holds it.
    """
    code = "t.reason_code" if has_column(connection, "transfers", "reason_code") else "NULL"
    found_by = _BY_INDEX
    if not _is_indexed(connection):
        connection.create_function(
            "canonical_interaction", 1, canonical_interaction, deterministic=True
        )
        connection.executescript(_SPELLINGS)
        connection.execute("BEGIN")  # `executescript` has committed
        found_by = _BY_SPELLING
    return _CLAIMS.format(code=code, page=_PAGE, **found_by)


def _is_indexed(connection: sqlite3.Connection) -> bool:
    """Return whether every transfer has its interaction's canonical form."""
    if not has_column(connection, "transfers", "interaction"):
        return False
    lacking = connection.execute("SELECT 1 FROM transfers WHERE interaction IS NULL LIMIT 1")
    return lacking.fetchone() is None


def _reverts(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Return the run that each undo reverted, by the undo's run."""
    rows = connection.execute(
        "SELECT id, json_extract(record, '$.reverts') FROM runs"
        " WHERE instr(record, '\"reverts\"') AND json_valid(record)"
    )
    return {run_id: str(reverted) for run_id, reverted in rows if reverted is not None}


def _page(
    connection: sqlite3.Connection,
    query: str,
    reverts: Mapping[str, str],
    interactions: Sequence[str],
) -> dict[str, list[Claim]]:
    padding = [None] * (PAGE - len(interactions))
    found: dict[str, list[Claim]] = {}
    for interaction, *row in connection.execute(query, [*interactions, *padding]):
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
