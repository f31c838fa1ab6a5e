"""The tables of submissions and workers, beside the journal's own."""

from __future__ import annotations

from runner.journal.postgres.control_schema import BUSY

PIECE = 1 << 20
"""Most bytes of a piece of a file: what a worker holds of a submission's rows at a time."""

MOST_OPEN = 1000
"""Submissions that a role may have open: a loop gone wrong fills no worker's memory, and no lane."""

FLEET = f"""
CREATE TABLE runner.submissions(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  environment text NOT NULL,           -- a name: what it stands for is the worker's own
  batch text NOT NULL,
  manifest text NOT NULL,              -- the name of its file in submission_files
  options text NOT NULL,               -- JSON: core.batch_options, of those that may travel
  submitted_by name NOT NULL,          -- the role that the database let in
  submitted_from text,                 -- who says to be behind it: account and host
  submitted_at timestamptz NOT NULL,
  made_in xid8 NOT NULL,               -- the transaction that made it: it alone adds files
  not_before timestamptz,
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
CREATE INDEX submissions_open ON runner.submissions(id)
  WHERE state IN ('waiting', 'running');

CREATE TABLE runner.submission_files(
  submission bigint NOT NULL REFERENCES runner.submissions(id),
  name text NOT NULL,                  -- relative to the manifest's folder
  part int NOT NULL DEFAULT 0,         -- a file is its parts in their order
  content bytea NOT NULL CHECK (octet_length(content) <= {PIECE}),
  PRIMARY KEY(submission, name, part)
);

CREATE TABLE runner.workers(
  name text PRIMARY KEY,
  process text NOT NULL,
  environments text NOT NULL,          -- JSON: names
  running text NOT NULL DEFAULT '[]',  -- JSON: submissions
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
);

-- Added, and never changed: a right to update a row is one to lock it, and workers write the rows of
-- submissions and workers.
CREATE TABLE runner.orders(
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  submission bigint,                   -- to end it: read before planning, and while a run goes on
  worker text,                         -- to drain it, until it starts again
  given_by name NOT NULL,
  given_at timestamptz NOT NULL,
  CHECK (num_nonnulls(submission, worker) = 1)
);
CREATE INDEX orders_of_submission ON runner.orders(submission, no);
CREATE INDEX orders_of_worker ON runner.orders(worker, no);

-- Who submits, and when, is the database's word, whatever a statement says and whatever role it took on.
CREATE FUNCTION runner.submitted_v1() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.submitted_by := session_user;
  NEW.submitted_at := clock_timestamp();
  NEW.made_in := pg_current_xact_id();
  IF (SELECT count(*) FROM runner.submissions s WHERE s.state IN ('waiting', 'running')
       AND s.submitted_by = session_user) >= {MOST_OPEN} THEN
    RAISE EXCEPTION '{MOST_OPEN} submissions of role % are open', session_user
      USING ERRCODE = '{BUSY}';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER submitted BEFORE INSERT ON runner.submissions
  FOR EACH ROW EXECUTE FUNCTION runner.submitted_v1();

-- A submission and its files are one transaction of who submits: no worker sees a part of them, and
-- nobody adds to them later.
CREATE FUNCTION runner.file_added_v1() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM 1 FROM runner.submissions
    WHERE id = NEW.submission AND submitted_by = session_user AND made_in = pg_current_xact_id();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'submission % takes no files: they come in the transaction that makes it',
      NEW.submission USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER file_added BEFORE INSERT ON runner.submission_files
  FOR EACH ROW EXECUTE FUNCTION runner.file_added_v1();

-- Who gives an order, and when, likewise. The first one stands: there is no need of another.
CREATE FUNCTION runner.ordered_v1() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.given_by := session_user;
  NEW.given_at := clock_timestamp();
  PERFORM 1 FROM runner.submissions s WHERE s.id = NEW.submission
    AND NOT EXISTS (SELECT FROM runner.orders o WHERE o.submission = s.id);
  IF NOT FOUND THEN
    PERFORM 1 FROM runner.workers w WHERE w.name = NEW.worker
      AND NOT EXISTS (SELECT FROM runner.orders o WHERE o.worker = w.name AND o.given_at >= w.started_at);
  END IF;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER ordered BEFORE INSERT ON runner.orders
  FOR EACH ROW EXECUTE FUNCTION runner.ordered_v1();

-- What `status --fleet` shows of the audit chains: each lane's last takeover, and nothing else of them.
CREATE VIEW runner.takeovers AS
  SELECT l.lane, e.body FROM runner.lanes l CROSS JOIN LATERAL (
    SELECT body FROM runner.events
     WHERE run = 0 AND lane = l.lane AND strpos(body, '"event":"lane taken"') > 0
     ORDER BY seq DESC LIMIT 1) e;
"""  # noqa: S608 - of constants
"""Makes the tables."""
