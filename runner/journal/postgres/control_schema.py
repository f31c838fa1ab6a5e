"""The table of operators' commands, beside the journal's own: requests, outside the audit chain."""

from __future__ import annotations

CONTROL = """
CREATE TABLE IF NOT EXISTS runner.commands(
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lane int NOT NULL,
  epoch bigint NOT NULL,               -- of the run that is meant: no other one takes it
  request text NOT NULL CHECK (octet_length(request) <= 16384),  -- JSON: journal.control.wire
  asked_by name NOT NULL DEFAULT session_user,
  asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  withdrawn_at timestamptz,            -- by who asked, if no run had taken it
  taken_at timestamptz,                -- by the run, before it acts
  answer text                          -- JSON: journal.control.wire
);
CREATE INDEX IF NOT EXISTS commands_open ON runner.commands(lane, epoch, no)
  WHERE taken_at IS NULL;

-- Who asks, and when, is the database's word, whatever a statement says and whatever role it took on.
CREATE OR REPLACE FUNCTION runner.asked_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.asked_by := session_user;
  NEW.asked_at := clock_timestamp();
  NEW.withdrawn_at := NULL;
  NEW.taken_at := NULL;
  NEW.answer := NULL;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER asked BEFORE INSERT ON runner.commands
  FOR EACH ROW EXECUTE FUNCTION runner.asked_v1();
"""
"""Makes the table where it is missing: a journal that is older than it is gets it."""

IS_MADE = "SELECT to_regclass('runner.commands') IS NOT NULL"
