"""What `Staging` keeps, and what it asks of it, in SQL."""

from __future__ import annotations

TABLES = """
CREATE TABLE ladders(id INTEGER PRIMARY KEY, media TEXT NOT NULL);
CREATE TABLE rows(
  n INTEGER PRIMARY KEY, key TEXT, interaction_id TEXT, destination_uri TEXT,
  ladder INTEGER, callbacks TEXT, source TEXT, interaction TEXT, found_at TEXT);
CREATE TABLE verdicts(
  n INTEGER PRIMARY KEY, action TEXT, reason TEXT, claim INTEGER, lineage INTEGER, origin TEXT,
  code TEXT, earlier TEXT, left_out INTEGER, failed_as TEXT);
"""

REPEATS = """
SELECT :kind, {shown}, first, n FROM (
  SELECT n, {shown}, min(n) OVER (PARTITION BY {column}) AS first FROM rows
  WHERE {column} IN (SELECT {column} FROM rows GROUP BY {column} HAVING count(*) > 1))
WHERE n != first ORDER BY n LIMIT :limit
"""

OWN_KEY = "SELECT 1 FROM rows WHERE key != interaction LIMIT 1"
"""Finds a row with a key of its own; where there is none, keys repeat as interactions do."""

ALIKE = """
SELECT n, key, source, interaction_id, destination_uri, media, action, reason, origin, code, earlier, nth, alike
FROM (
  SELECT n, action, reason, origin, code, earlier, row_number() OVER (alikes ORDER BY n) AS nth,
         count(*) OVER alikes AS alike
  FROM verdicts
  WINDOW alikes AS (PARTITION BY action, code))
JOIN rows USING (n) JOIN ladders ON ladders.id = ladder WHERE nth <= :most ORDER BY n
"""

CODE, NO_CODE = "t.reason_code", "NULL"  # journals may lack the column

# A run whose row is damaged costs its name, never the history of whom it moved.
CLAIMS = """
SELECT r.n, r.destination_uri, t.id, t.lineage, coalesce(runs.id, '?'), coalesce(runs.batch, '?'), t.key, t.destination_uri,
       t.state, {code}
FROM rows r
JOIN journal.transfers t ON {interaction} = r.interaction
LEFT JOIN journal.runs runs ON runs.no = t.run
ORDER BY r.n, t.id
"""

BY_INDEX = "t.interaction"
BY_FUNCTION = "canonical_interaction(t.interaction_id)"
"""How `CLAIMS` finds an interaction's history; the second one reads every transfer."""

IS_INDEXED = """
SELECT EXISTS (SELECT 1 FROM pragma_table_info('transfers', 'journal') WHERE name = 'interaction')
"""
IS_COMPLETE = "SELECT NOT EXISTS (SELECT 1 FROM journal.transfers WHERE interaction IS NULL)"
"""A version that knows no canonical spelling leaves it out of the transfers that it adds."""
