"""The table of operators' commands, beside the journal's own: requests, outside the audit chain."""

from __future__ import annotations

MOST_OPEN = 16
"""Commands that a role may have open for one run, urgent ones and others each: the rest wait their turn."""

LAPSES_S = 60
"""After so many seconds, by the database's clock, no run takes a command any more."""

BUSY = "RN003"
"""The SQLSTATE of what is beyond a role's share."""

CONTROL = f"""
CREATE TABLE runner.commands(
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lane int NOT NULL,
  epoch bigint NOT NULL,               -- of the run that is meant: no other one takes it
  request text NOT NULL CHECK (octet_length(request) <= 16384),  -- JSON: journal.control.wire
  is_urgent boolean NOT NULL,          -- it makes a run send less: taken first
  asked_by name NOT NULL,
  asked_at timestamptz NOT NULL,
  withdrawn_at timestamptz,            -- by who asked, if no run had taken it; final
  taken_at timestamptz,                -- by the run, before it acts
  answer text                          -- JSON: journal.control.wire
);
CREATE INDEX commands_open ON runner.commands(lane, epoch, asked_by, no)
  WHERE taken_at IS NULL AND withdrawn_at IS NULL;
CREATE INDEX commands_taken ON runner.commands(lane, epoch, asked_by, taken_at)
  WHERE taken_at IS NOT NULL;

-- Who asks, and when, is the database's word, whatever a statement says and whatever role it took on.
CREATE FUNCTION runner.asked_v1() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.asked_by := session_user;
  NEW.asked_at := clock_timestamp();
  NEW.withdrawn_at := NULL;
  NEW.taken_at := NULL;
  NEW.answer := NULL;
  BEGIN
    NEW.is_urgent := coalesce(NEW.request::json->>'command' IN ('stop', 'pause'), false);
  EXCEPTION WHEN others THEN  -- no JSON: the run refuses it
    NEW.is_urgent := false;
  END;
  IF (SELECT count(*) FROM runner.commands c
       WHERE c.lane = NEW.lane AND c.epoch = NEW.epoch AND c.asked_by = NEW.asked_by
         AND c.is_urgent = NEW.is_urgent AND c.taken_at IS NULL AND c.withdrawn_at IS NULL
         AND c.asked_at > clock_timestamp() - interval '{LAPSES_S} seconds') >= {MOST_OPEN} THEN
    RAISE EXCEPTION '{MOST_OPEN} commands of role % wait for this run', NEW.asked_by
      USING ERRCODE = '{BUSY}';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER asked BEFORE INSERT ON runner.commands
  FOR EACH ROW EXECUTE FUNCTION runner.asked_v1();

-- Withdraws a command that no run has taken, for who gave it. A function, because a right to update
-- rows is also one to lock them, and the run passes over what is locked.
CREATE FUNCTION runner.withdraw_v1(p_no bigint) RETURNS boolean LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE runner.commands SET withdrawn_at = clock_timestamp()
   WHERE no = p_no AND asked_by = session_user AND taken_at IS NULL AND withdrawn_at IS NULL;
  RETURN FOUND;
END $$;
"""  # noqa: S608 - of constants
"""Makes the table."""
