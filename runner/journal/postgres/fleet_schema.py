"""The tables of submissions and workers, beside the journal's own."""

from __future__ import annotations

FLEET = """
CREATE TABLE IF NOT EXISTS runner.submissions(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  environment text NOT NULL,           -- a name: what it stands for is the worker's own
  batch text NOT NULL,
  manifest text NOT NULL,              -- the name of its file in submission_files
  options text NOT NULL,               -- JSON: core.batch_options, of those that may travel
  submitted_by text NOT NULL,
  submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  not_before timestamptz,
  cancel timestamptz,                  -- an order: read before planning, and while a run goes on
  state text NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'running', 'ended', 'cancelled')),
  lane int,                            -- from its first run on; no other lane may carry it
  worker text,
  attempts int NOT NULL DEFAULT 0,     -- runs since the last one that got on, or handed over
  claimed_seq bigint,                  -- the chain's last event as the latest run began
  retry_at timestamptz,                -- set as a run begins: how soon another may follow its death
  run text,                            -- the latest run's id
  first_run int,                       -- runs.no whose rows are the selection
  last_transfer bigint,                -- the newest transfer before that run
  exit_code int,
  explanation text,
  ended_at timestamptz
);
CREATE INDEX IF NOT EXISTS submissions_open ON runner.submissions(id)
  WHERE state IN ('waiting', 'running');

CREATE TABLE IF NOT EXISTS runner.submission_files(
  submission bigint NOT NULL REFERENCES runner.submissions(id),
  name text NOT NULL,                  -- relative to the manifest's folder
  content bytea NOT NULL,
  PRIMARY KEY(submission, name)
);

CREATE TABLE IF NOT EXISTS runner.workers(
  name text PRIMARY KEY,
  process text NOT NULL,
  environments text NOT NULL,          -- JSON: names
  running text NOT NULL DEFAULT '[]',  -- JSON: submissions
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  drain timestamptz                    -- an order
);
"""
"""Makes the tables where they are missing: a journal that is older than they are gets them."""
