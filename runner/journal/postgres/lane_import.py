"""Brings the history of another journal into a lane: whole, in one transaction, chain and all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from psycopg import errors

from runner.core.errors import StorageError, UsageError
from runner.core.records.audit_chain import GENESIS, canonical, link
from runner.core.timestamps import timestamp
from runner.journal.export import TABLES, Export
from runner.journal.postgres.batch import storable
from runner.journal.postgres.connection import (
    Connection,
    JournalUrl,
    ask,
    check_made,
    connect,
    translated,
)
from runner.ports.journal_access import Imported

_LANE = (
    "SELECT l.lane, l.seq, (SELECT value FROM runner.meta m WHERE m.lane = l.lane"
    " AND m.name = 'lineage') FROM runner.lanes l WHERE l.name = %(name)s"
)
_OTHER = (
    "SELECT l.name FROM runner.lanes l JOIN runner.meta m USING (lane)"
    " WHERE m.name = 'lineage' AND m.value = %(lineage)s AND l.name <> %(name)s"
)
_ADD_LANE = (
    "INSERT INTO runner.lanes(name, head) VALUES (%(name)s, %(head)s)"
    " ON CONFLICT (name) DO UPDATE SET head = excluded.head WHERE runner.lanes.seq = 0"
    " RETURNING lane"
)
_SET_HEAD = (
    "UPDATE runner.lanes SET seq = %(seq)s, head = %(head)s, beat = beat + 1 WHERE lane = %(lane)s"
)
_HAS_EVENT = (
    "SELECT 1 FROM runner.events WHERE lane = %(lane)s AND seq = %(seq)s AND hash = %(head)s"
)
_SET_META = (
    "INSERT INTO runner.meta(lane, name, value) VALUES (%(lane)s, %(name)s, %(value)s)"
    " ON CONFLICT (lane, name) DO UPDATE SET value = excluded.value"
)
_NUMBERS = (
    "SELECT nextval(pg_get_serial_sequence('runner.runs', 'no'))"
    " FROM generate_series(1, %(count)s) ORDER BY 1"
)
_DURABLE = "SET LOCAL synchronous_commit = on"

_EXTRA = {"events": ("epoch", 0)}
"""A column that only a lane has, and its value for what another journal brings."""


def import_history(url: JournalUrl, export: Export) -> Imported:
    """Bring a history into the lane that the URL names, once; the other journal is refused then.

    An import that was interrupted is finished, or found done. Raises `UsageError` if the lane has a
    history, or the journal goes on elsewhere already; `StorageError`.
    """
    if url.lane is None:
        raise UsageError(f"the journal {url} needs the name of a lane (?lane=NAME), or --manifest")
    if export.destination not in {None, str(url)}:
        raise UsageError(
            f"the import of {export.address} was begun into {export.destination}: only that one can"
            " be finished, for its history must not go on in two places"
        )
    with closing(connect(url)) as connection, translated(url):
        check_made(connection, url)
        warnings: list[str | None] = []
        connection.add_notice_handler(lambda notice: _take(notice, warnings))
        imported = _already(connection, url, export)
        if imported is None:
            imported = _write(connection, url, export)
        else:
            _confirm(connection, url, export)
        if warnings:
            raise StorageError(
                f"the server of the journal {url} warned at the commit ({warnings[0]}): the import"
                " may be lost at a failover. See to the synchronous standby, then import again"
            )
        return imported


def _already(connection: Connection, url: JournalUrl, export: Export) -> Imported | None:
    """Return what an earlier import brought; None: the lane is empty. Raises `UsageError`."""
    lineage = export.meta["lineage"]
    found = ask(connection, _LANE, {"name": url.lane})
    if other := ask(connection, _OTHER, {"name": url.lane, "lineage": lineage}):
        raise UsageError(
            f"the history of {export.address} is in the lane {other[0][0]} of {url.database} already"
        )
    if not found or (found[0][1] == 0 and found[0][2] is None):
        return None
    lane, seq, there = found[0]
    last, head = export.last_event
    if there == lineage and ask(connection, _HAS_EVENT, {"lane": lane, "seq": last, "head": head}):
        return Imported(str(url), export.address, last, is_new=False)
    raise UsageError(
        f"the lane {url.lane} of {url.database} has a history of its own ({seq} events), and two"
        f" cannot be joined; nothing was changed. Import {export.address} into a database where"
        " nothing was applied to this gateway yet"
    )


def _write(connection: Connection, url: JournalUrl, export: Export) -> Imported:
    """Copy everything in one transaction; the export is unmarked if that certainly failed."""
    is_first = export.destination is None  # the commit of an earlier one may still be on its way
    export.mark(str(url))
    is_written = False
    try:
        with connection.transaction():
            connection.execute(_DURABLE.encode())
            seq = _copy(connection, url, export)
            is_written = True
    except BaseException:
        if is_first and not is_written:  # rolled back, or cut off before the commit was asked for
            export.unmark()
        raise
    return Imported(str(url), export.address, seq, is_new=True)


def _copy(connection: Connection, url: JournalUrl, export: Export) -> int:
    """Copy the tables, and go on with the chain; return the number of the last copied event."""
    made = ask(connection, _ADD_LANE, {"name": url.lane, "head": GENESIS})
    if not made:
        raise UsageError(f"another process has just begun the lane {url.lane}; nothing was changed")
    ((lane,),) = made
    numbers = _run_numbers(connection, export)
    for table, columns in TABLES.items():
        rows = export.rows(table)
        if table == "events":
            rows = _verified(rows, export)
        try:
            _copy_table(connection, lane, table, _renumbered(rows, columns, numbers))
        except errors.UniqueViolation as error:
            raise StorageError(
                f"the history of {export.address} cannot be imported: {error.diag.message_detail}"
            ) from error
    last, head = export.last_event
    event = {
        "at": timestamp(time.time()), "event": "journal imported", "run": "",
        "from": export.address, "lane": url.lane, "lineage": export.meta["lineage"],
    }  # fmt: skip
    body = canonical(event)
    seq, head = last + 1, link(head, body)
    _copy_table(connection, lane, "events", iter([(seq, 0, body, head)]))
    for name, value in export.meta.items():
        _do(connection, _SET_META, {"lane": lane, "name": name, "value": value})
    _do(connection, _SET_HEAD, {"lane": lane, "seq": seq, "head": head})
    return last


def _run_numbers(connection: Connection, export: Export) -> Mapping[int, int]:
    """Return the runs' numbers in the database, by those in the other journal; 0 stays none."""
    known = [int(no) for no, *_ in export.rows("runs")]
    given = [int(no) for (no,) in ask(connection, _NUMBERS, {"count": len(known)})]
    return {0: 0} | dict(zip(known, given, strict=True))


def _renumbered(
    rows: Iterator[tuple[Any, ...]], columns: tuple[str, ...], numbers: Mapping[int, int]
) -> Iterator[tuple[Any, ...]]:
    """Yield rows with the database's numbers of runs, and texts as it can hold them."""
    runs = [at for at, name in enumerate(columns) if name in {"run", "no"}]
    flags = [at for at, name in enumerate(columns) if name == "left_out"]
    for row in rows:
        values = [storable(value) if isinstance(value, str) else value for value in row]
        for at in runs:
            values[at] = numbers[int(values[at])]
        for at in flags:
            values[at] = bool(values[at])
        yield tuple(values)


def _verified(rows: Iterator[tuple[Any, ...]], export: Export) -> Iterator[tuple[Any, ...]]:
    """Yield events as long as each follows from the one before it."""
    head, before = GENESIS, 0
    for seq, run, body, stored in rows:
        head = link(head, body)
        if (seq, head) != (before + 1, stored):
            raise StorageError(
                f"the journal {export.address} is damaged: its event {seq} does not follow from the"
                " one before it; nothing was imported. Restore it from a copy"
            )
        before = seq
        yield seq, run, body, stored


def _copy_table(
    connection: Connection, lane: int, table: str, rows: Iterator[tuple[Any, ...]]
) -> None:
    extra = _EXTRA.get(table)
    columns = ("lane", *TABLES[table], *(extra[:1] if extra else ()))
    last = extra[1:] if extra else ()
    names = ", ".join(map(str, columns))
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY runner.{table}({names}) FROM STDIN".encode()) as copy,
    ):
        for row in rows:
            copy.write_row((lane, *row, *last))


def _confirm(connection: Connection, url: JournalUrl, export: Export) -> None:
    """Commit once more: what an earlier import left visible may not be on the standby yet."""
    ((lane, *_),) = ask(connection, _LANE, {"name": url.lane})
    with connection.transaction():
        connection.execute(_DURABLE.encode())
        values = {"lane": lane, "name": "lineage", "value": export.meta["lineage"]}
        _do(connection, _SET_META, values)
    export.mark(str(url))


def _take(notice: errors.Diagnostic, warnings: list[str | None]) -> None:
    if notice.severity_nonlocalized == "WARNING":
        warnings.append(notice.message_primary)


def _do(connection: Connection, query: str, values: Mapping[str, Any]) -> None:
    connection.execute(query.encode(), values)
