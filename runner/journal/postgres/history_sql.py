"""The queries by which a lane's history is read."""

from __future__ import annotations

from runner.core.records.row_codec import PLANNED_ROW
from runner.journal.decision_events import BODIES
from runner.journal.history_answers import ELSEWHERE
from runner.journal.sql_lists import IN_HELD, IN_SENDS

META = "SELECT name, value FROM runner.meta WHERE lane = %(lane)s"
# A run as its table has it, and the first and last of its events, each behind the hash before it.
_BEFORE = (
    "coalesce((SELECT b.hash FROM runner.events b WHERE b.lane = u.lane AND b.seq = {}.seq - 1),"
    " %(genesis)s)"
)
_STORED = (
    "u.id, u.batch, u.started_at, u.finished_at, u.record, u.figures,"
    f" {_BEFORE.format('f')}, f.body, f.hash, {_BEFORE.format('l')}, l.body, l.hash"
)
_EVENT = (
    "LEFT JOIN LATERAL (SELECT e.seq, e.body, e.hash FROM runner.events e WHERE e.lane = u.lane"
    " AND e.run = u.no ORDER BY e.seq {} LIMIT 1) {} ON true"
)
_FROM_STORED = f"FROM runner.runs u {_EVENT.format('ASC', 'f')} {_EVENT.format('DESC', 'l')}"
RUNS = (
    f"SELECT u.no, u.finished_at IS NOT NULL, {_STORED} {_FROM_STORED} WHERE u.lane = %(lane)s"
    " AND (%(id)s::text IS NULL OR u.id = %(id)s::text) ORDER BY u.no DESC LIMIT %(limit)s"
)
RUN_NUMBER = (
    "SELECT no FROM runner.runs WHERE lane = %(lane)s"
    " AND (%(id)s::text IS NULL OR id = %(id)s::text) ORDER BY no DESC LIMIT 1"
)
# `OFFSET 0` keeps each look-up one by its index: without statistics (a plan of a moment ago) the
# database would compare each row with every transfer.
COUNTS = (
    f"SELECT r.action, t.state, c.state, {ELSEWHERE}, count(*) FROM runner.rows r"  # noqa: S608 - of constants
    " LEFT JOIN LATERAL (SELECT x.state FROM runner.transfers x WHERE x.lane = r.lane"
    "  AND x.run = r.run AND x.n = r.n OFFSET 0) t ON true"
    " LEFT JOIN LATERAL (SELECT x.state, x.destination_uri FROM runner.transfers x"
    "  WHERE x.lane = r.lane AND x.id = r.claim OFFSET 0) c ON true"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s GROUP BY 1, 2, 3, 4, 5"
)
NEWEST = (
    "SELECT a.id, NOT EXISTS (SELECT 1 FROM runner.runs b WHERE b.lane = a.lane"
    " AND b.batch = a.batch AND b.no > a.no) FROM runner.runs a"
    " WHERE a.lane = %(lane)s AND a.no = %(run)s"
)
_HELD = f"x.state {IN_HELD}"
# Transfers that a run's rows stand for: its own, and those of earlier runs that they claim. Each from
# the transfers that are held, which are few: from the rows, the database would read all of them.
_SEEN = (
    "SELECT o.id, r.key, r.source, x.interaction_id, x.destination_uri, x.state, x.message_id,"  # noqa: S608 - of constants
    " x.reason, r.n FROM runner.transfers x"
    " JOIN runner.rows r ON r.lane = x.lane AND r.run = {run} AND {place}"
    " JOIN runner.runs o ON o.lane = x.lane AND o.no = x.run"
    f" WHERE x.lane = %(lane)s AND {_HELD}"
)
HELD_BY_RUN = (
    _SEEN.format(run="x.run", place="r.n = x.n AND x.run = %(run)s")
    + " UNION ALL "
    + _SEEN.format(run="%(run)s", place="r.claim = x.id")
    + " ORDER BY 9 LIMIT %(limit)s"
)
# The sender's own taking of the lane, and that of its successor.
TAKINGS = (
    "SELECT e.epoch, e.body FROM runner.events e, ("
    " SELECT i.epoch FROM runner.deliveries d"
    " JOIN runner.events i ON i.lane = d.lane AND i.seq = d.intent"
    " WHERE d.lane = %(lane)s AND d.transfer = %(transfer)s ORDER BY d.n DESC LIMIT 1) AS sender"
    " WHERE e.run = 0 AND e.lane = %(lane)s AND e.epoch IN (sender.epoch, sender.epoch + 1)"
)
TAKINGS_OF_A_SUCCESSION = 2
COUNT_HELD = f"SELECT count(*) FROM runner.transfers x WHERE x.lane = %(lane)s AND {_HELD}"  # noqa: S608 - of constants
_ROW = PLANNED_ROW.expressions(
    "r", instead={"media": "l.media", "was_elsewhere": "r.action = 'changed'"}
)
_OF_TRANSFER = {
    "key": "x.key",
    "interaction_id": "x.interaction_id",
    "destination_uri": "x.destination_uri",
    "lineage": "x.lineage",
}
_TAKEN_UP = PLANNED_ROW.expressions(
    "r", instead=_OF_TRANSFER | {"media": "l.media", "was_elsewhere": "false", "failed_as": "NULL"}
)
_OF_DOUBT = {
    "interaction_id": "t.interaction_id",
    "destination_uri": "t.destination_uri",
    "lineage": "t.lineage",
    "failed_as": "NULL",
    "was_elsewhere": "o.action = 'changed'",
}
_OTHERS_ROW = PLANNED_ROW.expressions(
    "o", instead=_OF_DOUBT | {"n": "-1", "key": "t.key", "media": "ol.media"}
)
_OWN_ROW = PLANNED_ROW.expressions("r", instead=_OF_DOUBT | {"media": "l.media"})
_KEYED = (
    f"SELECT {_TAKEN_UP}, x.id, x.version, x.state, x.reason, o.id AS run_id, o.batch"  # noqa: S608 - of constants
    " FROM runner.rows r"
    " JOIN runner.transfers x ON x.lane = r.lane AND {place}"
    " JOIN runner.runs o ON o.lane = x.lane AND o.no = x.run"
    " JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s"
)
BY_KEY = (
    "SELECT * FROM ("  # noqa: S608 - of constants
    + _KEYED.format(place="x.run = r.run AND x.n = r.n AND r.key = %(key)s")
    + " UNION ALL "
    + _KEYED.format(place="x.id = r.claim AND r.key = %(key)s")
    + f") x ORDER BY {_HELD} DESC, x.id DESC LIMIT 1"
)
HAS_KEY = (
    "SELECT 1 FROM runner.rows WHERE lane = %(lane)s AND run = %(run)s AND key = %(key)s LIMIT 1"
)
RUN_IDS = "SELECT id FROM runner.runs WHERE lane = %(lane)s ORDER BY no DESC LIMIT %(limit)s"
DECIDED = (
    "SELECT body FROM runner.events WHERE lane = %(lane)s AND run = %(run)s"  # noqa: S608 - of constants
    f" AND (position('{BODIES[0]}' IN body) > 0 OR position('{BODIES[1]}' IN body) > 0)"
    " ORDER BY seq"
)
PENDING = (
    f"SELECT {_ROW}"  # noqa: S608 - of constants
    " FROM runner.rows r JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s AND r.n > %(after)s"
    f" AND r.action {IN_SENDS} AND (r.failed_as IS NOT NULL) = %(failed_before)s"
    " AND (%(destination_uri)s::text IS NULL OR r.destination_uri = %(destination_uri)s::text)"
    " ORDER BY r.n LIMIT %(limit)s"
)
MESSAGE_IDS = (
    "SELECT d.message_id FROM runner.transfers t"
    " JOIN runner.deliveries d ON d.lane = t.lane AND d.transfer = t.id"
    " WHERE t.lane = %(lane)s"
    " AND (t.id = %(lineage)s OR (t.lineage = %(lineage)s AND t.lineage <> t.id))"
)
FIND = (
    f"SELECT {_ROW}, t.id, t.lineage, t.version, t.state, t.reason_code, d.n, u.id AS own_run, u.batch"  # noqa: S608 - of constants
    " FROM runner.deliveries d JOIN runner.transfers t ON t.lane = d.lane AND t.id = d.transfer"
    " JOIN runner.runs u ON u.lane = t.lane AND u.no = t.run"
    " JOIN runner.rows r ON r.lane = t.lane AND r.run = t.run AND r.n = t.n"
    " JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE d.lane = %(lane)s AND d.message_id = %(message_id)s LIMIT 1"
)
# The rows of this run come beside, because the database knows no canonical form of destinations.
DOUBTS = (
    f"SELECT {_OTHERS_ROW}, {_OWN_ROW}, r.left_out, r.destination_uri,"  # noqa: S608 - of constants
    " t.id, t.lineage, t.version, t.state,"
    " (SELECT max(n) FROM runner.deliveries m WHERE m.lane = t.lane AND m.transfer = t.id), e.body,"
    " EXISTS (SELECT 1 FROM runner.outbox b WHERE b.lane = t.lane AND b.transfer = t.id"
    "  AND b.outcome = 'in_doubt'), u.id AS own_run, u.batch"
    " FROM runner.transfers t JOIN runner.runs u ON u.lane = t.lane AND u.no = t.run"
    " JOIN runner.deliveries d ON d.lane = t.lane AND d.transfer = t.id AND d.n ="
    "  (SELECT max(n) FROM runner.deliveries m WHERE m.lane = t.lane AND m.transfer = t.id"
    "   AND m.event <> 'withdrawn')"
    " JOIN runner.events e ON e.lane = d.lane AND e.seq = d.intent"
    " JOIN runner.rows o ON o.lane = t.lane AND o.run = t.run AND o.n = t.n"
    " JOIN runner.ladders ol ON ol.lane = o.lane AND ol.id = o.ladder"
    " LEFT JOIN runner.rows r ON r.lane = t.lane AND r.run = %(run)s AND r.claim = t.id"
    "  AND r.action = 'in_doubt'"
    " LEFT JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE t.lane = %(lane)s AND t.state = 'unknown' ORDER BY t.id, r.n"
)
DOUBTS_ELSEWHERE = (
    "SELECT u.id, t.key, t.interaction_id FROM runner.transfers t"  # noqa: S608 - of constants
    " JOIN runner.runs u ON u.lane = t.lane AND u.no = t.run"
    f" WHERE t.lane = %(lane)s AND t.state {IN_HELD}"
    " AND t.run <> %(run)s AND NOT EXISTS (SELECT 1 FROM runner.rows r WHERE r.lane = t.lane"
    "  AND r.run = %(run)s AND r.claim = t.id) ORDER BY t.id"
)
MOVED_SINCE = (
    "SELECT x.interaction_id, x.destination_uri, x.id, o.id FROM runner.transfers x"
    " JOIN runner.runs o ON o.lane = x.lane AND o.no = x.run"
    " WHERE x.lane = %(lane)s AND x.id > %(after)s AND x.state = 'transferred' ORDER BY x.id"
)
OUTBOX = (
    "SELECT no, webhook_id, callback, body, attempts FROM runner.outbox WHERE lane = %(lane)s"
    " AND state = 'pending' AND no > %(after)s ORDER BY no LIMIT %(limit)s"
)
OWED = "SELECT count(*) FROM runner.outbox WHERE lane = %(lane)s AND state = 'pending'"
UNDELIVERED = (
    "SELECT callback, count(*) FILTER (WHERE state = 'pending'),"
    " count(*) FILTER (WHERE state = 'failed'), (array_agg(reason ORDER BY no DESC))[1] FROM ("
    " SELECT o.no, o.callback, o.state, o.reason FROM runner.outbox o"
    " JOIN runner.runs r ON r.lane = o.lane AND r.no = o.run"
    " JOIN runner.runs this ON this.lane = o.lane AND this.no = %(run)s AND this.batch = r.batch"
    " WHERE o.lane = %(lane)s AND o.state = 'pending' AND o.run <= %(run)s"
    " UNION ALL SELECT no, callback, state, reason FROM runner.outbox"
    " WHERE lane = %(lane)s AND run = %(run)s AND state = 'failed'"
    ") x GROUP BY callback ORDER BY callback"
)
LAST_TRANSFER = "SELECT coalesce(max(id), 0) FROM runner.transfers WHERE lane = %(lane)s"
LAST_EVENT = "SELECT seq, hash FROM runner.events WHERE lane = %(lane)s ORDER BY seq DESC LIMIT 1"
HAS_EVENT = (
    "SELECT 1 FROM runner.events WHERE lane = %(lane)s AND seq = %(seq)s AND hash = %(head)s"
)
HEADS = (
    "SELECT u.id, u.previous, coalesce((SELECT e.hash FROM runner.events e WHERE e.lane = u.lane"
    " AND e.seq = (SELECT min(f.seq) FROM runner.events f WHERE f.lane = u.lane AND f.run = u.no)"
    " - 1), %(genesis)s) FROM runner.runs u WHERE u.lane = %(lane)s ORDER BY u.no"
)
REPORT = (
    f"SELECT u.previous, m.excerpt, {_STORED} {_FROM_STORED}"
    " LEFT JOIN runner.manifests m ON m.lane = u.lane"
    "  AND m.sha256 = u.record::json->>'manifest_sha256'"
    " WHERE u.lane = %(lane)s AND u.no = %(run)s"
)

BATCH_EVENTS = (
    "SELECT run, body FROM runner.events WHERE lane = %(lane)s AND run >= %(first)s"
    " AND body::json->>'event' = ANY(%(names)s) ORDER BY seq"
)
PACE_EVENTS = (
    "SELECT body FROM runner.events WHERE lane = %(lane)s"
    " AND seq > (SELECT seq FROM runner.lanes WHERE lane = %(lane)s) - %(most)s"
    " AND body::json->>'event' = ANY(%(names)s) ORDER BY seq"
)
BATCH_TRANSFERS = (
    "SELECT run, id, interaction, state, reason_code FROM runner.transfers"
    " WHERE lane = %(lane)s AND run >= %(first)s ORDER BY id"
)
