"""What `Staging` keeps, and what it asks of it, in SQL."""

from __future__ import annotations

TABLES = """
CREATE TABLE ladders(id INTEGER PRIMARY KEY, media TEXT NOT NULL);
CREATE TABLE rows(
  n INTEGER PRIMARY KEY, key TEXT, interaction_id TEXT, destination_uri TEXT,
  ladder INTEGER, callbacks TEXT, source TEXT, found_at TEXT);
CREATE TABLE verdicts(
  n INTEGER PRIMARY KEY, action TEXT, reason TEXT, claim INTEGER, lineage INTEGER, origin TEXT);
"""

REPEATS = """
SELECT :kind, {column}, first, n FROM (
  SELECT n, {column}, min(n) OVER (PARTITION BY {column}) AS first FROM rows
  WHERE {column} IN (SELECT {column} FROM rows GROUP BY {column} HAVING count(*) > 1))
WHERE n != first ORDER BY n LIMIT :limit
"""

OWN_KEY = "SELECT 1 FROM rows WHERE key != interaction_id LIMIT 1"
"""Finds a row with a key of its own; where none has one, keys repeat as interactions do."""

ALIKE = """
SELECT n, key, source, interaction_id, destination_uri, media, action, reason, origin, nth, alike
FROM (
  SELECT n, action, reason, origin, row_number() OVER (alikes ORDER BY n) AS nth,
         count(*) OVER alikes AS alike
  FROM verdicts
  WINDOW alikes AS (PARTITION BY action, iif(action = 'unchanged', NULL, reason)))
JOIN rows USING (n) JOIN ladders ON ladders.id = ladder WHERE nth <= :most ORDER BY n
"""

CLAIMS = """
SELECT r.n, r.destination_uri, t.id, t.lineage, runs.id, runs.batch, t.key, t.destination_uri,
       t.state
FROM rows r
JOIN journal.transfers t ON t.interaction_id = r.interaction_id
JOIN journal.runs runs ON runs.no = t.run
ORDER BY r.n, t.id
"""
