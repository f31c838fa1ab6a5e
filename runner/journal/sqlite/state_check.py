"""Checks that the transfers' states are those that the chain of events says.

History is judged by the table of transfers: a bit that flips in it would move somebody again. Each
run leaves a seal, the digest of that table at the end of the chain. While nothing was chained since,
comparing digests is enough (measured: 2 s for a million transfers); after a run that died the whole
chain is read (7 s for a million events).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from array import array
from collections.abc import Iterator
from pathlib import Path

import orjson

from runner.core.errors import StorageError
from runner.core.records.audit_chain import GENESIS, link
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.states import Event, State

_SEAL = "seal"
_CHUNK = 1000
_ROWS = (
    "SELECT id||' '||lineage||' '||run||' '||state||' '||coalesce(interaction, '')"
    "||' '||interaction_id||' '||destination_uri FROM transfers ORDER BY id"
)
_UNINDEXED = """
SELECT t.id, t.key FROM transfers t NOT INDEXED WHERE NOT EXISTS (
  SELECT 1 FROM transfers u INDEXED BY transfers_of_interaction
  WHERE u.interaction = t.interaction AND u.id = t.id)
LIMIT 1
"""
_CODES = {state.value: code for code, state in enumerate(State, start=1)}


def store_digest(connection: sqlite3.Connection, seq: int) -> None:
    """Store the digest of the transfers as they are after event `seq`; within a transaction."""
    seal = json.dumps({"seq": seq, "transfers": _digest(connection)})
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_SEAL, seal))


def check_states(connection: sqlite3.Connection, path: Path) -> None:
    """Compare the transfers with the seal or, where that is out of date, with the chain.

    Raises `StorageError` where they differ, or where the index by which an interaction's history
    is found lacks one (0.5 s for a million transfers), and what SQLite does.
    """
    unindexed = connection.execute(_UNINDEXED).fetchone()
    if unindexed is not None:
        transfer_id, key = unindexed
        raise _damaged(path, f"its index does not lead to transfer {transfer_id} (key {key})")
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    stored = connection.execute("SELECT value FROM meta WHERE name = ?", [_SEAL]).fetchone()
    try:
        sealed = json.loads(stored[0]) if stored is not None else {}
        is_current = sealed.get("seq") == last
    except (ValueError, AttributeError):  # damaged itself: the chain is asked
        sealed, is_current = {}, False
    if is_current and sealed.get("transfers") == _digest(connection):
        return
    differing = _differing(connection, path)
    if differing is None and is_current:
        differing = "something in it changed since the last run ended"
    if differing is not None:
        raise _damaged(path, differing)


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError(
        f"the journal {path} is damaged: {what}. Nothing was sent, because somebody might"
        " be moved twice. Restore it from a copy, or name another with --journal"
    )


def _digest(connection: sqlite3.Connection) -> str:
    whole = hashlib.sha256()
    rows = connection.execute(_ROWS)
    while some := rows.fetchmany(_CHUNK):
        whole.update("\n".join([text for (text,) in some]).encode(errors="surrogatepass"))
        whole.update(b"\n")
    return whole.hexdigest()


def _differing(connection: sqlite3.Connection, path: Path) -> str | None:
    """Return the first thing in which the transfers differ from the chain; None: they agree."""
    (most,) = connection.execute("SELECT coalesce(max(id), 0) FROM transfers").fetchone()
    states, interactions = bytearray(most + 1), array("q", bytes(8 * (most + 1)))
    destinations = array("q", bytes(8 * (most + 1)))  # 0: no event names it
    for transfer_id, state, interaction_id, destination_uri in _transfer_events(connection, path):
        if not 0 < transfer_id <= most:
            return f"transfer {transfer_id} is missing, which its events name"
        states[transfer_id] = _CODES.get(state, 0)
        if interaction_id is not None:
            interactions[transfer_id] = hash(interaction_id)
        if destination_uri is not None:
            destinations[transfer_id] = hash(destination_uri)
    rows = "SELECT id, key, state, interaction_id, interaction, destination_uri FROM transfers"
    for transfer_id, key, state, interaction_id, interaction, uri in connection.execute(rows):
        if states[transfer_id] != _CODES.get(state):
            return f"the state of transfer {transfer_id} (key {key}) differs from its events"
        is_same = interactions[transfer_id] == hash(interaction_id)
        if not is_same or interaction != canonical_interaction(interaction_id):
            return f"the interaction of transfer {transfer_id} (key {key}) differs from its events"
        if destinations[transfer_id] not in {0, hash(uri)}:
            return f"the destination of transfer {transfer_id} (key {key}) differs from its events"
        states[transfer_id] = 0
    missing = next((n for n, code in enumerate(states) if code), None)
    return None if missing is None else f"transfer {missing} is missing, which its events name"


_TransferEvent = tuple[int, str, str | None, str | None]


def _transfer_events(connection: sqlite3.Connection, path: Path) -> Iterator[_TransferEvent]:
    """Yield (transfer, state, interaction, destination) of each event that changes a transfer.

    Oldest first. Only intents name destinations.
    """
    head = GENESIS
    for seq, text, stored in connection.execute("SELECT seq, body, hash FROM events ORDER BY seq"):
        head = link(head, text)
        if head != stored:
            raise StorageError(
                f"the journal {path} is damaged: its event {seq} does not follow from the one"
                " before it. Restore it from a copy, or name another with --journal"
            )
        body = orjson.loads(text)
        if (state := body.get("state")) is not None and "transfer" in body:
            yield body["transfer"], state, body.get("interaction_id"), body.get("destination_uri")
        elif body["event"] == Event.LOST and "transfer" in body:  # by a run that died
            yield body["transfer"], State.UNKNOWN, None, None
