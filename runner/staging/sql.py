"""Tables and queries of `Staging`, with a column for each field of the classes that they hold."""

from __future__ import annotations

from runner.core.records.row_codec import DECISION, PLANNED_ROW, ROW
from runner.core.transfer.plan_decision import PlannedMove
from runner.staging.outline import Outline

TABLES = f"""
CREATE TABLE ladders(id INTEGER PRIMARY KEY, media TEXT NOT NULL);
CREATE TABLE rows(n INTEGER PRIMARY KEY, interaction TEXT, {", ".join(ROW.columns)});
CREATE TABLE protected(interaction TEXT PRIMARY KEY, source TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE chosen(interaction TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE decisions(n INTEGER PRIMARY KEY, origin_uri TEXT, {", ".join(DECISION.columns)});
"""

ADD_ROW = (
    f"INSERT INTO rows({', '.join(ROW.columns)}, n, interaction)"  # noqa: S608 - of constants
    f" VALUES ({'?, ' * len(ROW.columns)}?, ?)"
)
ADD_DECISION = f"INSERT INTO decisions VALUES (?, ?{', ?' * len(DECISION.columns)})"  # noqa: S608 - of constants
AMEND = f"UPDATE decisions SET {', '.join(f'{name} = ?' for name in DECISION.columns)} WHERE n = ?"  # noqa: S608 - of constants

_PLANNED = "rows JOIN decisions USING (n) JOIN ladders ON ladders.id = ladder"

PLANNED = (
    f"SELECT {PLANNED_ROW.expressions(instead={'was_elsewhere': '0'})},"  # noqa: S608 - of constants
    # Which earlier run decides is for reports, which read outlines.
    f" {DECISION.expressions(instead={'earlier': 'NULL'})} FROM {_PLANNED} ORDER BY n"
)
OUTLINES = f"SELECT {', '.join(Outline._fields)} FROM {_PLANNED} ORDER BY n"  # noqa: S608 - of constants
MOVES = (
    f"SELECT n, {', '.join(PlannedMove._fields)} FROM decisions JOIN rows USING (n)"  # noqa: S608 - of constants
    " WHERE action IN ('send', 'changed') ORDER BY action, n"
)

EXPECTED = (
    "SELECT expected_destination_uri, source FROM rows WHERE expected_destination_uri IS NOT NULL"
    " GROUP BY expected_destination_uri HAVING n = min(n)"
)

REPEATS = """
SELECT :kind, {shown}, first, n FROM (
  SELECT n, {shown}, min(n) OVER (PARTITION BY {column}) AS first FROM rows
  WHERE {column} IN (SELECT {column} FROM rows GROUP BY {column} HAVING count(*) > 1))
WHERE n != first ORDER BY n LIMIT :limit
"""

OWN_KEY = "SELECT 1 FROM rows WHERE key != interaction LIMIT 1"
"""Finds a row with a key of its own; where there is none, keys repeat as interactions do."""

_DECIDED = ", ".join(name for name in Outline._fields if name in {"origin_uri", *DECISION.columns})
ALIKE = f"""
SELECT {", ".join(Outline._fields)}, nth, alike
FROM (
  SELECT n, {_DECIDED}, row_number() OVER (alikes ORDER BY n) AS nth, count(*) OVER alikes AS alike
  FROM decisions
  WINDOW alikes AS (PARTITION BY action, code))
JOIN rows USING (n) JOIN ladders ON ladders.id = ladder WHERE nth <= :most ORDER BY n
"""  # noqa: S608 - of constants
