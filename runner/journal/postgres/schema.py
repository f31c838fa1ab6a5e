"""The journal's tables and functions in PostgreSQL, in a schema of their own.

The tables are those of the SQLite journal; every key and index has the lane, which is one gateway
and account. It leads the primary keys and ends all other indexes: while tables are small or new, the
database takes whichever index begins with the lane for as good as any other, and reads the whole lane
for each transfer. A change here is a new `FORMAT`: a journal of another is refused.
"""

from __future__ import annotations

FORMAT = 3

FENCED = "RN001"
"""The SQLSTATE of a transaction whose lane has another owner, or another head, by now."""

STALE = "RN002"
"""The SQLSTATE of a batch with a transfer or a delivery that is not as expected."""

# A lane whose first owner died before it was made counts as none.
MADE = (
    "SELECT l.lane, l.name FROM runner.lanes l JOIN runner.meta m USING (lane)"
    " WHERE m.name = 'lineage' ORDER BY l.name"
)

COLUMNS = (
    ("body", "text"),
    ("hash", "text"),
    ("transfer", "bigint"),
    # NULL in a note, which changes no transfer:
    ("version", "int"),
    ("lineage", "bigint"),
    ("row_n", "int"),
    ("key", "text"),
    ("interaction_id", "text"),
    ("destination_uri", "text"),
    ("state", "text"),
    ("event", "text"),
    ("at", "double precision"),
    ("n", "int"),
    ("message_id", "text"),
    ("media_index", "int"),
    ("sent_at", "double precision"),
    ("latency_ms", "double precision"),
    ("status", "text"),
    ("reason", "text"),
    ("media", "text"),
    ("correlation_id", "text"),
    ("interaction", "text"),
    ("reason_code", "text"),
)
"""The columns of a batch, each sent as one text."""

_TABLES = """
CREATE SCHEMA runner;

CREATE TABLE runner.journal(           -- of the whole journal: format, durability
  name text PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE runner.lanes(             -- one row a gateway and account: its owner's lease, its chain's head
  lane int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  epoch bigint NOT NULL DEFAULT 0,     -- the fence: every transaction that writes compares it
  beat bigint NOT NULL DEFAULT 0,      -- moved by each renewal; watchers time its standing still
  owner text,                          -- JSON: journal.postgres.owner; NULL: given up
  ttl_s double precision NOT NULL DEFAULT 0,  -- the owner writes no frame for longer unless it renews
  seq bigint NOT NULL DEFAULT 0,       -- the chain's last event, and its hash
  head text NOT NULL,
  renewed_at timestamptz               -- for people; no decision to take a lane over reads it
) WITH (fillfactor = 20);

CREATE TABLE runner.meta(              -- of one lane: lineage, environment, origin, server, place
  lane int NOT NULL,                   -- 0: of the journal itself
  name text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY(lane, name)
);

CREATE TABLE runner.ladders(
  lane int NOT NULL,
  id int NOT NULL,
  media text NOT NULL,                 -- JSON: the requested matrix, then the fallbacks
  PRIMARY KEY(lane, id)
);

CREATE TABLE runner.manifests(
  lane int NOT NULL,
  sha256 text NOT NULL,
  excerpt text NOT NULL,               -- JSON: core.manifest.source_excerpt
  PRIMARY KEY(lane, sha256)
);

CREATE TABLE runner.runs(
  lane int NOT NULL,
  no int GENERATED ALWAYS AS IDENTITY,
  id text NOT NULL,
  batch text NOT NULL,
  started_at text NOT NULL,
  record text NOT NULL,                -- JSON: core.records.run_record; complete when finished; the chain has it too
  figures text,                        -- JSON: core.records.run_record, once finished
  previous text NOT NULL,              -- the chain's hash before the run
  finished_at text,
  PRIMARY KEY(lane, no),
  UNIQUE(id, lane)
);
CREATE INDEX runs_of_batch ON runner.runs(batch, no, lane);

CREATE TABLE runner.rows(              -- the plan of a run; never changed
  lane int NOT NULL,
  run int NOT NULL,
  n int NOT NULL,
  key text NOT NULL,
  interaction_id text NOT NULL,
  destination_uri text NOT NULL,
  ladder int NOT NULL,
  callbacks text NOT NULL,             -- JSON: names
  source text NOT NULL,
  action text NOT NULL,
  reason text,
  claim bigint,                        -- transfers.id whose state is the row's outcome
  lineage bigint,
  failed_as text,                      -- transfers.reason_code of its last failure
  found_at text,                       -- JSON: where a selection found it
  expected_destination_uri text,       -- it is moved from there alone; NULL: from anywhere
  left_out boolean NOT NULL,           -- in doubt, and `--only` left it out
  PRIMARY KEY(lane, run, n)
);
CREATE INDEX rows_of_claim ON runner.rows(claim, run, lane) WHERE claim IS NOT NULL;
CREATE INDEX rows_of_key ON runner.rows(key, run, lane);

CREATE TABLE runner.transfers(         -- one a row that a run took up
  lane int NOT NULL,
  id bigint NOT NULL,
  lineage bigint NOT NULL,             -- the first transfer that this one continues
  run int NOT NULL,
  n int NOT NULL,
  key text NOT NULL,
  interaction_id text NOT NULL,
  destination_uri text NOT NULL,
  state text NOT NULL,
  version int NOT NULL,
  reason text,
  message_id text,                     -- of the last delivery
  latency_ms double precision,
  media text,                          -- JSON: what was negotiated
  interaction text NOT NULL,           -- interaction_id in its canonical spelling
  reason_code text,                    -- of the outcome: the gateway's status, or a reason's code
  PRIMARY KEY(lane, id),
  UNIQUE(run, n, lane)
) WITH (fillfactor = 70);
CREATE INDEX transfers_of_lineage ON runner.transfers(lineage, lane) WHERE lineage <> id;
CREATE INDEX transfers_of_interaction ON runner.transfers(interaction, lane);
-- The database itself refuses a second transfer of an interaction that is held.
CREATE UNIQUE INDEX held ON runner.transfers(interaction, lane)
  WHERE state IN ('sending', 'unknown', 'resending');

CREATE TABLE runner.deliveries(
  lane int NOT NULL,
  transfer bigint NOT NULL,
  n int NOT NULL,                      -- counts the transfer's deliveries, withdrawn ones too
  run int NOT NULL,
  message_id text NOT NULL,            -- repeated only to a gateway that dedupes
  media_index int NOT NULL,
  intent bigint NOT NULL,              -- events.seq, which holds the message's exact bytes
  sent_at double precision NOT NULL,   -- seconds since the epoch; the intent's until it is settled
  event text NOT NULL,                 -- the last thing that happened to it
  settled_at double precision,
  latency_ms double precision,
  status text,
  reason text,
  correlation_id text,                 -- by which the gateway's owner finds it
  PRIMARY KEY(lane, transfer, n)
) WITH (fillfactor = 70);
CREATE INDEX deliveries_by_message ON runner.deliveries(message_id, lane);

CREATE TABLE runner.outbox(
  lane int NOT NULL,
  no bigint GENERATED ALWAYS AS IDENTITY,
  webhook_id text NOT NULL,
  transfer bigint NOT NULL,
  run int NOT NULL,
  callback text NOT NULL,
  outcome text NOT NULL,
  body text NOT NULL,
  state text NOT NULL,                 -- pending | delivered | failed | suppressed
  attempts int NOT NULL,
  reason text,
  PRIMARY KEY(lane, no),
  UNIQUE(webhook_id, lane)
);
CREATE INDEX outbox_of_transfer ON runner.outbox(transfer, lane);
CREATE INDEX outbox_pending ON runner.outbox(no, lane) WHERE state = 'pending';

CREATE TABLE runner.events(            -- append-only: the audit chains
  lane int NOT NULL,
  seq bigint NOT NULL,
  run int NOT NULL,                    -- 0: of none
  epoch bigint NOT NULL,               -- of the owner that wrote it
  body text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY(lane, seq)
);
CREATE INDEX events_of_run ON runner.events(run, seq, lane);
"""

_ADVANCE = """
-- The fence, and the compare-and-set of the chain's head: first in every transaction that writes.
-- It renews the lease too: a process that writes is alive.
CREATE FUNCTION runner.advance_v1(
  p_lane int, p_epoch bigint, p_seq bigint, p_head text, p_new_seq bigint, p_new_head text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);  -- of this transaction alone
  UPDATE runner.lanes
     SET seq = p_new_seq, head = p_new_head, beat = beat + 1, renewed_at = clock_timestamp()
   WHERE lane = p_lane AND epoch = p_epoch AND seq = p_seq AND head = p_head;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'lane % is not at epoch %, event % any more', p_lane, p_epoch, p_seq
      USING ERRCODE = 'RN001';
  END IF;
END $$;
"""

_RENEW = """
-- Moves the lease's beat; returns no row to who does not hold the lane any more. Tells what the
-- owner checks at each renewal: its session's mark, which a pooler between transactions loses.
CREATE FUNCTION runner.renew_v1(p_lane int, p_epoch bigint)
RETURNS TABLE(mark text, standbys text, durability text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  UPDATE runner.lanes SET beat = beat + 1, renewed_at = clock_timestamp()
   WHERE lane = p_lane AND epoch = p_epoch;
  IF FOUND THEN
    RETURN QUERY SELECT current_setting('runner.mark', true),
      current_setting('synchronous_standby_names'),
      (SELECT value FROM runner.journal WHERE name = 'durability');
  END IF;
END $$;

-- Takes a lane over from the (epoch, beat) that was seen, with the event that says so.
CREATE FUNCTION runner.take_v1(
  p_lane int, p_epoch bigint, p_beat bigint, p_seq bigint, p_head text,
  p_owner text, p_ttl_s double precision, p_body text, p_hash text
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  UPDATE runner.lanes
     SET epoch = epoch + 1, beat = beat + 1, owner = p_owner, ttl_s = p_ttl_s, seq = p_seq + 1,
         head = p_hash, renewed_at = clock_timestamp()
   WHERE lane = p_lane AND epoch = p_epoch AND beat = p_beat AND seq = p_seq AND head = p_head;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO runner.events(lane, seq, run, epoch, body, hash)
  VALUES (p_lane, p_seq + 1, 0, p_epoch + 1, p_body, p_hash);
  RETURN true;
END $$;

-- Gives a lane up, unless a frame may be on its way: then its lease has to run out.
CREATE FUNCTION runner.give_up_v1(p_lane int, p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE runner.lanes SET owner = NULL, beat = beat + 1
   WHERE lane = p_lane AND epoch = p_epoch AND NOT EXISTS (
     SELECT 1 FROM runner.transfers t
      WHERE t.lane = p_lane AND t.state IN ('sending', 'resending'));
END $$;
"""

_ARGUMENTS = ", ".join(f"a_{name} text" for name, _ in COLUMNS)
_NAMES = ", ".join(name for name, _ in COLUMNS)
_ARRAYS = ", ".join(
    f"string_to_array(a_{name}, p_comma, p_null)" + ("" if kind == "text" else f"::{kind}[]")
    for name, kind in COLUMNS
)

# The plan of a function is kept: made while the tables were empty it would read them whole for ever.
# Its settings are the function's own, because a pooler loses a session's. The lane is a column of the
# batch, because as a constant it would be searched for first and alone.
_RECORD = f"""
-- A batch in one round trip: set by set what the SQLite journal does row by row. Each column is one
-- text, whose values p_comma parts; p_null stands for NULL. A transfer comes once in a batch.
CREATE FUNCTION runner.record_batch_v1(
  p_lane int, p_epoch bigint, p_seq bigint, p_head text, p_new_seq bigint, p_new_head text,
  p_run int, p_owed json, p_comma text, p_null text, {_ARGUMENTS}
) RETURNS void LANGUAGE plpgsql
  SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
  SET plan_cache_mode = force_generic_plan
AS $$
DECLARE v_as_expected boolean;
BEGIN
  PERFORM runner.advance_v1(p_lane, p_epoch, p_seq, p_head, p_new_seq, p_new_head);
  WITH c AS MATERIALIZED (
    SELECT p_lane AS lane, x.* FROM unnest({_ARRAYS})
      WITH ORDINALITY AS x({_NAMES}, place)),
  appended AS (
    INSERT INTO runner.events(lane, seq, run, epoch, body, hash)
    SELECT p_lane, p_seq + place, p_run, p_epoch, body, hash FROM c),
  begun AS (
    INSERT INTO runner.transfers(lane, id, lineage, run, n, key, interaction_id, destination_uri,
      state, version, reason, message_id, latency_ms, media, interaction, reason_code)
    SELECT p_lane, transfer, lineage, p_run, row_n, key, interaction_id, destination_uri, state, 1,
      reason, message_id, latency_ms, media, interaction, coalesce(reason_code, status)
    FROM c WHERE version = 0),
  changed AS (
    -- An event after the effect is about another delivery: the transfer keeps its reason.
    UPDATE runner.transfers t SET state = c.state, version = t.version + 1,
      reason = CASE WHEN t.state = 'transferred' THEN t.reason ELSE c.reason END,
      reason_code = CASE WHEN t.state = 'transferred' THEN t.reason_code
        ELSE coalesce(c.reason_code, c.status) END,
      message_id = CASE WHEN t.state = 'transferred' THEN t.message_id
        ELSE coalesce(c.message_id, t.message_id) END,
      latency_ms = coalesce(c.latency_ms, t.latency_ms), media = coalesce(c.media, t.media)
    FROM c WHERE t.lane = c.lane AND t.id = c.transfer AND t.version = c.version AND c.version > 0
    RETURNING 1),
  sent AS (
    INSERT INTO runner.deliveries(lane, transfer, n, run, message_id, media_index, intent, sent_at,
      event)
    SELECT p_lane, transfer, n, p_run, message_id, media_index, p_seq + place, at, event
    FROM c WHERE media_index IS NOT NULL),
  settled AS (
    UPDATE runner.deliveries d SET event = c.event, sent_at = coalesce(c.sent_at, d.sent_at),
      settled_at = c.at, latency_ms = c.latency_ms, status = c.status, reason = c.reason,
      correlation_id = c.correlation_id
    FROM c WHERE d.lane = c.lane AND d.transfer = c.transfer AND d.n = c.n
      AND c.media_index IS NULL AND c.n IS NOT NULL
    RETURNING 1),
  settled_late AS (
    UPDATE runner.deliveries d SET event = c.event, settled_at = c.at, status = c.status,
      reason = c.reason, latency_ms = coalesce(c.latency_ms, d.latency_ms),
      correlation_id = coalesce(c.correlation_id, d.correlation_id)
    FROM c WHERE c.n IS NULL AND c.event = 'accepted' AND d.lane = c.lane
      AND d.transfer = c.transfer AND d.message_id = c.message_id AND d.status IS NULL)
  SELECT (SELECT count(*) FROM changed) = (SELECT count(*) FROM c WHERE version > 0)
     AND (SELECT count(*) FROM settled)
         = (SELECT count(*) FROM c WHERE media_index IS NULL AND n IS NOT NULL)
    INTO v_as_expected;
  IF NOT v_as_expected THEN
    RAISE EXCEPTION 'a transfer or a delivery is not as expected' USING ERRCODE = 'RN002';
  END IF;
  IF p_owed IS NOT NULL THEN
    INSERT INTO runner.outbox(lane, webhook_id, transfer, run, callback, outcome, body, state,
      attempts)
    SELECT p_lane, w->>1, (w->>0)::bigint, p_run, w->>2, w->>3, w->>4, 'pending', 0
    FROM json_array_elements(p_owed) WITH ORDINALITY AS o(w, place) ORDER BY place;
  END IF;
END $$;
"""  # noqa: S608 - of constants

SCHEMA = _TABLES + _ADVANCE + _RENEW + _RECORD
"""Makes the tables and functions, in a database that has none."""
