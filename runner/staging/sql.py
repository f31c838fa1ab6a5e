"""Tables and queries of `Staging`."""

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
