"""The journal's tables. A change here is a new `FORMAT`: files of another are refused."""

from __future__ import annotations

from runner.journal.sql_lists import IN_HELD

FORMAT = 3

JOURNAL = f"""
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE manifests(
  sha256 TEXT PRIMARY KEY,
  excerpt TEXT NOT NULL                -- JSON: core.manifest.source_excerpt.ManifestExcerpt
) WITHOUT ROWID;

CREATE TABLE ladders(
  id INTEGER PRIMARY KEY,
  media TEXT NOT NULL UNIQUE           -- JSON: the requested matrix, then the fallbacks
);

CREATE TABLE runs(
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  batch TEXT NOT NULL,
  started_at TEXT NOT NULL,
  record TEXT NOT NULL,                -- JSON: core.records.run_record; complete when finished; the chain has it too
  figures TEXT,                        -- JSON: core.records.run_record, once finished
  previous TEXT NOT NULL,              -- the chain's hash before the run
  finished_at TEXT
);

CREATE TABLE rows(                     -- the plan of a run; never changed
  run INTEGER NOT NULL,
  n INTEGER NOT NULL,
  key TEXT NOT NULL,
  interaction_id TEXT NOT NULL,
  destination_uri TEXT NOT NULL,
  ladder INTEGER NOT NULL,
  callbacks TEXT NOT NULL,             -- JSON: names
  source TEXT NOT NULL,
  action TEXT NOT NULL,
  reason TEXT,
  claim INTEGER,                       -- transfers.id whose state is the row's outcome
  lineage INTEGER,
  failed_as TEXT,                      -- transfers.reason_code of its last failure; NULL: it never failed
  found_at TEXT,                       -- JSON: where a selection found it (core.transfer.lookup_verdict.FoundAt)
  expected_destination_uri TEXT,       -- it is moved from there alone; NULL: from anywhere
  left_out INTEGER NOT NULL,           -- 1: in doubt, and `--only` left it out
  PRIMARY KEY(run, n)
) WITHOUT ROWID;

CREATE TABLE transfers(                -- one a row that a run took up
  id INTEGER PRIMARY KEY,
  lineage INTEGER NOT NULL,            -- the first transfer that this one continues
  run INTEGER NOT NULL,
  n INTEGER NOT NULL,
  key TEXT NOT NULL,
  interaction_id TEXT NOT NULL,
  destination_uri TEXT NOT NULL,
  state TEXT NOT NULL,
  version INTEGER NOT NULL,
  reason TEXT,
  message_id TEXT,                     -- of the last delivery
  latency_ms REAL,
  media TEXT,                          -- JSON: what was negotiated
  interaction TEXT NOT NULL,           -- interaction_id in its canonical spelling (core.transfer.canonical_form)
  reason_code TEXT,                    -- of the outcome: the gateway's status, or core.transfer.reasons
  UNIQUE(run, n)
);
CREATE INDEX transfers_of_lineage ON transfers(lineage) WHERE lineage != id;
CREATE INDEX transfers_of_interaction ON transfers(interaction);
-- The database itself refuses a second transfer of an interaction that is held.
CREATE UNIQUE INDEX held ON transfers(interaction) WHERE state {IN_HELD};

CREATE TABLE deliveries(
  transfer INTEGER NOT NULL,
  n INTEGER NOT NULL,                  -- counts the transfer's deliveries, withdrawn ones too
  run INTEGER NOT NULL,
  message_id TEXT NOT NULL,            -- repeated only to a gateway that dedupes
  media_index INTEGER NOT NULL,
  intent INTEGER NOT NULL,             -- events.seq, which holds the message's exact bytes
  sent_at REAL NOT NULL,               -- seconds since the epoch; the intent's until it is settled
  event TEXT NOT NULL,                 -- the last thing that happened to it
  settled_at REAL,
  latency_ms REAL,
  status TEXT,
  reason TEXT,
  correlation_id TEXT,                 -- by which the gateway's owner finds it
  PRIMARY KEY(transfer, n)
) WITHOUT ROWID;
-- By what a late reply finds its delivery. An accepted one has moved its interaction, which no later
-- reply changes; in an index of all, ids that are random would have each commit write a page for each
-- of its transfers.
CREATE INDEX deliveries_unaccepted ON deliveries(message_id) WHERE event != 'accepted';

CREATE TABLE outbox(
  no INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL UNIQUE,
  transfer INTEGER NOT NULL,
  run INTEGER NOT NULL,
  callback TEXT NOT NULL,
  outcome TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL,                 -- pending | delivered | failed | suppressed
  attempts INTEGER NOT NULL,
  reason TEXT
);
CREATE INDEX outbox_of_transfer ON outbox(transfer);
CREATE INDEX outbox_pending ON outbox(no) WHERE state = 'pending';

CREATE TABLE events(                   -- append-only: the audit chain
  seq INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  body TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX events_of_run ON events(run);
"""
