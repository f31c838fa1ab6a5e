"""Tables and queries of `Staging`, with a column for each field of the classes that they hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from runner.core.records.row_codec import DECISION, PLANNED_ROW, ROW
from runner.core.records.run_record import IDENTITY
from runner.core.transfer.plan_decision import PlannedMove
from runner.staging.outline import Outline

OFTEN_THE_ID = ("interaction", "key")
_WHOLE = ", ".join(
    f"coalesce({name}, interaction_id) AS {name}" if name in OFTEN_THE_ID else name
    for name in ("interaction", *ROW.columns)
)
"""A row's columns; `listed` has NULL where one is the same as `interaction_id`, as most are."""

_COLUMNS = ", ".join(
    f"{name} DEFAULT '[]'" if name == "callbacks" else name for name in ROW.columns
)
_DECIDED = ", ".join(name for name in ("origin_uri", *DECISION.columns) if name != "action")

TABLES = f"""
CREATE TABLE ladders(id INTEGER PRIMARY KEY, media TEXT NOT NULL);
CREATE TABLE listed(n INTEGER PRIMARY KEY, interaction TEXT, {_COLUMNS});
CREATE VIEW rows AS SELECT n, {_WHOLE} FROM listed;
CREATE TABLE protected(interaction TEXT PRIMARY KEY, source TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE chosen(interaction TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE matched(n INTEGER PRIMARY KEY);
CREATE TABLE decisions(n INTEGER PRIMARY KEY, origin_uri TEXT, {", ".join(DECISION.columns)});
CREATE VIEW planned AS
  SELECT rows.*, coalesce(action, 'send') AS action, {_DECIDED}
  FROM rows LEFT JOIN decisions USING (n);
"""  # noqa: S608 - of constants
"""`decisions` has what is not merely sent; `planned` is every row with the decision on it."""

ADD_ROW = (
    f"INSERT INTO listed({', '.join(ROW.columns)}, n, interaction)"  # noqa: S608 - of constants
    f" VALUES ({'?, ' * len(ROW.columns)}?, ?)"
)


def add_rows(columns: Collection[str], constant: Mapping[str, int]) -> str:
    """Return a statement that adds rows with some columns, and numbers that all of them share."""
    names = ", ".join((*columns, *constant))
    values = ", ".join((*("?" for _ in columns), *map(str, constant.values())))
    return f"INSERT INTO listed({names}) VALUES ({values})"  # noqa: S608 - names and numbers


ADD_DECISION = f"INSERT INTO decisions VALUES (?, ?{', ?' * len(DECISION.columns)})"  # noqa: S608 - of constants
AMEND = f"UPDATE decisions SET {', '.join(f'{name} = ?' for name in DECISION.columns)} WHERE n = ?"  # noqa: S608 - of constants

DECIDE_ALL = "INSERT OR IGNORE INTO decisions(n, action) SELECT n, 'send' FROM listed"
"""Gives each row a row in `decisions`, for updates that may concern any."""

DECIDE_REST = (
    "INSERT OR IGNORE INTO decisions(n, action, reason, code) SELECT n, ?, ?, ? FROM listed"
)
"""Gives the rows without a decision one and the same."""

PLANNED = (
    f"SELECT {PLANNED_ROW.expressions(instead={'was_elsewhere': '0'})},"  # noqa: S608 - of constants
    # Which earlier run decides is for reports, which read outlines.
    f" {DECISION.expressions(instead={'earlier': 'NULL'})}"
    " FROM planned JOIN ladders ON ladders.id = ladder ORDER BY n"
)
_OUTLINES = (
    f"SELECT {', '.join(Outline._fields)}"  # noqa: S608 - of constants
    " FROM planned JOIN ladders ON ladders.id = ladder"
)
OUTLINES = f"{_OUTLINES} ORDER BY n"
_SHARED = tuple(name for name in Outline._fields if name not in {"n", *IDENTITY})
GROUPED = (
    f"SELECT {', '.join((*IDENTITY, *_SHARED)).replace('media', 'ladder')}"  # noqa: S608 - of constants
    " FROM planned ORDER BY n"
)
LADDERS = "SELECT id, media FROM ladders"
OUTLINES_OF = f"{_OUTLINES} WHERE action = ? AND code IS ? ORDER BY n LIMIT ?"
MOVES = f"SELECT n, {', '.join(PlannedMove._fields)} FROM planned WHERE action = ? ORDER BY n"  # noqa: S608 - of constants

ACTIONS = "SELECT action, code, count(*) FROM decisions GROUP BY action, code"
UNDECIDED = "SELECT (SELECT count(*) FROM listed) - (SELECT count(*) FROM decisions)"

ALIKE = f"""
WITH alikes AS (
  SELECT min(n) AS first, count(*) AS alike FROM planned
  GROUP BY destination_uri, origin_uri, ladder, action, code)
SELECT {", ".join(Outline._fields)}, alike
FROM alikes JOIN planned ON n = first JOIN ladders ON ladders.id = ladder ORDER BY n
"""  # noqa: S608 - of constants

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

OWN_KEY = "SELECT 1 FROM listed WHERE key IS NOT interaction LIMIT 1"
"""Finds a row with a key of its own; where there is none, keys repeat as interactions do."""
