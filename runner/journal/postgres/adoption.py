"""Accepts a restored or failed-over database by a person's word, recorded in each lane's chain."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.core.records.audit_chain import canonical, link
from runner.core.timestamps import timestamp
from runner.journal.postgres.access import LaneLock
from runner.journal.postgres.connection import (
    Connection,
    JournalUrl,
    ask,
    check_made,
    connect,
    translated,
)
from runner.journal.postgres.lane_meta import ADOPTIONS, SERVER, adoptions_of
from runner.journal.postgres.lane_session import LaneSession
from runner.journal.postgres.schema import MADE
from runner.journal.postgres.server_identity import NO_LANE, keep_server, server_of
from runner.ports.journal_access import Adopted

_META = "SELECT name, value FROM runner.meta WHERE lane = %(lane)s"
_SET_META = (
    "INSERT INTO runner.meta(lane, name, value) VALUES (%(lane)s, %(name)s, %(value)s)"
    " ON CONFLICT (lane, name) DO UPDATE SET value = excluded.value"
)
_APPEND = (
    "INSERT INTO runner.events(lane, seq, run, epoch, body, hash)"
    " VALUES (%(lane)s, %(seq)s, 0, %(epoch)s, %(body)s, %(hash)s)"
)
_LAST = (
    "SELECT body FROM runner.events WHERE lane = %(lane)s AND run <> 0 ORDER BY seq DESC LIMIT 1"
)


def adopt(
    location: JournalLocation, *, reason: str, by: str, timeout_s: float
) -> Sequence[Adopted]:
    """Accept a database for the lane that its URL names, or for each of its lanes.

    What hosts remember of the lanes from before is not asked for any more. Raises `UsageError`,
    `Locked` if a lane is held for longer than `timeout_s`, `StorageError`.
    """
    url = JournalUrl.parse(location.text)
    with closing(connect(url)) as connection, translated(url):
        check_made(connection, url)
        names = [str(name) for _, name in ask(connection, MADE) if url.lane in {None, name}]
    if not names and url.lane is not None:
        raise UsageError(f"the journal {url} has no such lane; nothing was applied with it yet")
    adopted = [_adopt(url.at(name), reason, by, timeout_s) for name in names]
    if url.lane is None:  # with its lanes, the journal itself: lanes may be missing in it
        with closing(connect(url)) as connection, translated(url), connection.transaction():
            keep_server(connection, NO_LANE, server_of(connection))
    return adopted


def _adopt(url: JournalUrl, reason: str, by: str, timeout_s: float) -> Adopted:
    with LaneLock(url, is_adopting=True) as lock:
        session = lock.take(timeout_s)
        with translated(url):
            last = ask(session.connection, _LAST, {"lane": session.lane})
            meta = dict(ask(session.connection, _META, {"lane": session.lane}))
        known = adoptions_of(meta)
        adoption = {
            "id": secrets.token_hex(8), "at": timestamp(time.time()), "by": by, "reason": reason,
        }  # fmt: skip
        _write(session, adoption, [*known, adoption], meta.get(SERVER))
        at = None if not last else str(json.loads(last[0][0])["at"])
        return Adopted(str(url.lane), session.seq, at)


def _write(
    session: LaneSession,
    adoption: Mapping[str, str],
    adoptions: Sequence[Mapping[str, str]],
    before: str | None,
) -> None:
    event = {
        "at": adoption["at"], "event": "journal adopted", "run": "", "adoption": adoption["id"],
        "by": adoption["by"], "reason": adoption["reason"], "server": str(session.server),
        "server_before": before,
    }  # fmt: skip
    body = canonical(event)
    seq, head = session.seq + 1, link(session.head, body)
    values: dict[str, Any] = {"lane": session.lane}

    def write(connection: Connection) -> None:
        appended = {"seq": seq, "epoch": session.epoch, "body": body, "hash": head}
        connection.execute(_APPEND.encode(), values | appended)
        words = {"name": ADOPTIONS, "value": json.dumps(list(adoptions))}
        connection.execute(_SET_META.encode(), values | words)
        keep_server(connection, session.lane, session.server)

    session.commit(seq, head, write)
