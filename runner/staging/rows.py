"""Keeps a manifest's rows on disk until they are planned, so that memory stays flat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from operator import itemgetter

from runner.core.frozen import frozen
from runner.core.key_patterns import matcher_of, unmatched
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import DuplicateRows, QueueSelection
from runner.core.records.row_codec import DECISION, PLANNED_ROW, ROW, write_ladder
from runner.core.records.run_record import IDENTITY
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.plan_decision import (
    SENDS,
    Action,
    Claim,
    Decision,
    PlannedMove,
    decide,
    last_carried,
    not_moved_by,
)
from runner.core.transfer.rows import PlannedRow, RowColumns, TransferRow
from runner.ports.history import ClaimSource
from runner.staging.outline import Outline
from runner.staging.possible_repeats import PossibleRepeats
from runner.staging.sql import (
    ACTIONS,
    ADD_DECISION,
    ADD_ROW,
    ALIKE,
    AMEND,
    DECIDE_ALL,
    DECIDE_REST,
    EXPECTED,
    GROUPED,
    LADDERS,
    MOVES,
    OFTEN_THE_ID,
    OUTLINES,
    OUTLINES_OF,
    OWN_KEY,
    PLANNED,
    REPEATS,
    TABLES,
    UNDECIDED,
    add_rows,
)
from runner.staging.temporary_database import Scratch

CHUNK = 1000

_KEY = ROW.columns.index("key")


@frozen
class Selection:
    """Which rows may be sent: keys that match any of `only` (none: all), at most `limit`.

    `interactions`, in canonical form, are the only ones if they are given.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    interactions: Iterable[str] | None = None
    limit: int | None = None
    again: bool = False
    reverts: str | None = None  # the run that the manifest reverts


class Staging(Scratch):
    """A temporary file of rows, in the order of the manifest; gone when closed.

    Raises `StorageError`, naming the file, where it cannot be written.
    """

    def __init__(self) -> None:
        super().__init__(TABLES, "the manifest's rows cannot be kept until they are planned")
        self._connection.execute("BEGIN")
        self._ladders: dict[tuple[MediaMatrix, ...], int] = {}
        self._media: tuple[MediaMatrix, ...] | None = None  # of the row added last
        self._ladder = 0
        self._chunk: list[list[object]] = []
        self._repeats = PossibleRepeats()
        self.count = 0
        self.selections: list[QueueSelection] = []  # whose rows are not known yet
        self.has_selected = False  # some rows, or none, come from selections

    def add(self, row: TransferRow) -> None:
        """Take the next row."""
        if row.media is not self._media:  # neighbours mostly share theirs
            self._media, self._ladder = row.media, self._number_of(row.media)
        values = ROW.write(row, self._ladder)
        interaction = canonical_interaction(row.interaction_id)
        self._repeats.add([interaction], [row.key])
        if row.key == row.interaction_id:
            values[_KEY] = None
        values += (self.count, None if interaction == row.interaction_id else interaction)
        self._chunk.append(values)
        self.count += 1
        if len(self._chunk) >= CHUNK:
            self._flush()

    def add_all(self, rows: RowColumns) -> None:
        """Take the next rows."""
        self._flush()
        ids = rows.interaction_id
        interactions = [canonical_interaction(each) for each in ids]
        self._repeats.add(interactions, rows.key)
        columns = ROW.write_all(rows._asdict())
        columns |= {"key": rows.key, "interaction": interactions}
        for name in OFTEN_THE_ID:
            given = columns.pop(name)
            other = [None if one == each else one for one, each in zip(given, ids, strict=True)]
            if any(other):
                columns[name] = other
        different = {id(media): media for media in rows.media}  # most rows share theirs
        ladders = {each: self._number_of(media) for each, media in different.items()}
        columns["ladder"] = map(ladders.__getitem__, map(id, rows.media))
        columns["n"] = range(self.count, self.count + len(ids))
        # Each value that is bound takes as long as all else that is done to insert a row.
        constant = {}
        if len(ladders) == 1:
            del columns["ladder"]
            (constant["ladder"],) = ladders.values()
        if not any(rows.callbacks):
            del columns["callbacks"]
        if self.count:
            del columns["n"]  # it is one more than the last row's
        with self._working():
            self._connection.executemany(
                add_rows(columns, constant), zip(*columns.values(), strict=False)
            )
        self.count += len(ids)

    def select(self, selection: QueueSelection) -> None:
        """Take a selection; its rows are added once the gateway was asked."""
        self.selections.append(selection)
        self.has_selected = True

    def protect(self, interaction_id: str, source: str) -> None:
        """Take an interaction that is never moved, whatever lists it."""
        interaction = canonical_interaction(interaction_id)
        with self._working():
            self._connection.execute(
                "INSERT OR IGNORE INTO protected VALUES (?, ?)", [interaction, source]
            )

    def is_protected(self, interaction_id: str) -> bool:
        """Return whether an interaction is never moved."""
        asked = "SELECT 1 FROM protected WHERE interaction = ?"
        known = [canonical_interaction(interaction_id)]
        return self._connection.execute(asked, known).fetchone() is not None

    def has_interaction(self, interaction_id: str) -> bool:
        """Return whether a row names an interaction."""
        return self.key_of(interaction_id) is not None

    def key_of(self, interaction_id: str) -> str | None:
        """Return the key of the row that names an interaction; None: no row does."""
        self._flush()
        asked = "SELECT key FROM rows WHERE interaction = ?"
        known = [canonical_interaction(interaction_id)]
        found = self._connection.execute(asked, known).fetchone()
        return None if found is None else str(found[0])

    def replace_rows(self, row: TransferRow) -> None:
        """Take a row in the place of all others; who is protected stays so."""
        self._flush()
        with self._working():
            self._connection.execute("DELETE FROM listed")
        self.selections.clear()
        self.count, self.has_selected = 0, False
        self.add(row)

    def unmatched(self, patterns: Sequence[str]) -> list[str]:
        """Return the patterns that no row's key matches."""
        return unmatched(patterns, self._keys()) if patterns else []

    def selects_any(self, only: Sequence[str], exclude: Sequence[str]) -> bool:
        """Return whether a row's key matches any of `only` (none: all) and none of `exclude`."""
        wanted, unwanted = matcher_of(only or ["*"]), matcher_of(exclude)
        return any(wanted(key) and not unwanted(key) for key in self._keys())

    def _keys(self) -> Iterator[str]:
        """Yield the rows' keys, in the manifest's order."""
        self._flush()
        return (key for (key,) in self._connection.execute("SELECT key FROM rows ORDER BY n"))

    def keys(self, most: int) -> list[str]:
        """Return the first `most` keys, in the manifest's order."""
        return list(islice(self._keys(), most))

    def destinations(self) -> dict[str, str]:
        """Return every destination that a row names or expects, each with the first row's source."""
        self._flush()
        rows = "SELECT destination_uri, source FROM rows GROUP BY destination_uri HAVING n = min(n)"
        return dict(self._connection.execute(EXPECTED)) | dict(self._connection.execute(rows))

    def readdress(self, addresses: Mapping[str, str]) -> None:
        """Give the rows that name a destination another spelling of it: its id for its name."""
        self._flush()
        with self._working():
            self._connection.executemany(
                "UPDATE listed SET destination_uri = ? WHERE destination_uri = ?",
                ((uri, named) for named, uri in addresses.items()),
            )
            self._connection.executemany(
                "UPDATE listed SET expected_destination_uri = ? WHERE expected_destination_uri = ?",
                ((uri, named) for named, uri in addresses.items()),
            )

    def repeats(self, limit: int) -> Sequence[DuplicateRows]:
        """Return rows whose key or interaction an earlier row has, `limit` of each at most."""
        self._flush()
        if not self._repeats.may_be():
            return []
        found = self._repeats_of("interaction", "interaction", "interaction_id", limit)
        if self._connection.execute(OWN_KEY).fetchone() is None:
            found += [replace(repeat, kind="key") for repeat in found]
        else:
            found += self._repeats_of("key", "key", "key", limit)
        return sorted(found, key=lambda repeat: (repeat.second, repeat.kind))

    def _repeats_of(self, kind: str, column: str, shown: str, limit: int) -> list[DuplicateRows]:
        rows = self._connection.execute(
            REPEATS.format(column=column, shown=shown), {"kind": kind, "limit": limit}
        )
        return [DuplicateRows(*row) for row in rows]

    def plan(self, history: ClaimSource | None, selection: Selection) -> None:
        """Decide what to do with every row, by what earlier runs did (`history` None: nothing).

        Raises `StorageError` if that cannot be read.
        """
        self._flush()
        with self._working():
            self._connection.execute("DELETE FROM decisions")
        if history is not None:
            self._judge(history, selection)
        other = Decision(Action.SEND)
        if history is not None and selection.reverts is not None:
            other = not_moved_by(selection.reverts)
        with self._working():
            if self._leaves_out(selection) or other.action is not Action.SEND:
                self._connection.execute(DECIDE_REST, [other.action, other.reason, other.code])
                self._select(selection)
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN")

    def amend(self, decisions: Iterable[tuple[int, Decision]]) -> None:
        """Replace the decisions on some rows, which are given by their numbers."""
        with self._working():
            self._connection.execute(DECIDE_ALL)
            self._connection.executemany(
                AMEND, ((*DECISION.write(decision), n) for n, decision in decisions)
            )
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN")

    def counts(self) -> dict[Action, int]:
        """Return how many rows got each action."""
        counts: Counter[Action] = Counter()
        for action, _, count in self._actions():
            counts[action] += count
        return dict(counts)

    def _actions(self) -> Iterator[tuple[Action, str | None, int]]:
        """Yield each action and code of a decision, and how many rows have it."""
        known = self._connection.execute(ACTIONS).fetchall()
        (undecided,) = self._connection.execute(UNDECIDED).fetchone()
        found = {(Action(action), code): count for action, code, count in known}
        if undecided:
            found[Action.SEND, None] = found.get((Action.SEND, None), 0) + undecided
        for (action, code), count in found.items():
            yield action, code, count

    def rows_to(self) -> dict[str, int]:
        """Return the number of rows by destination."""
        self._flush()
        asked = "SELECT destination_uri, count(*) FROM rows GROUP BY 1"
        return dict(self._connection.execute(asked))

    def sends_to(self) -> dict[str, int]:
        """Return how many rows would be sent, by destination."""
        asked = "SELECT destination_uri, count(*) FROM planned WHERE action IN (?, ?) GROUP BY 1"
        return dict(self._connection.execute(asked, sorted(SENDS)))

    def sends_by_destination(self) -> list[tuple[str, int]]:
        """Return how many rows would be sent to each destination, the largest first."""
        asked = (
            "SELECT destination_uri, count(*) FROM planned WHERE action IN (?, ?)"
            " GROUP BY destination_uri ORDER BY 2 DESC, 1"
        )
        return self._connection.execute(asked, sorted(SENDS)).fetchall()

    def failed_before(self) -> int:
        """Return how many of the rows to be sent were rejected or failed before."""
        asked = "SELECT count(*) FROM decisions WHERE action IN (?, ?) AND failed_as IS NOT NULL"
        (count,) = self._connection.execute(asked, sorted(SENDS)).fetchone()
        return int(count)

    def planned(self) -> Iterator[tuple[PlannedRow, Decision]]:
        """Yield every row with the decision on it, in the manifest's order."""
        size = len(PLANNED_ROW.fields)
        for values in self._connection.execute(PLANNED):
            yield PLANNED_ROW.read(values[:size]), DECISION.read(values[size:])

    def moves(self) -> Iterator[tuple[int, PlannedMove]]:
        """Yield what would be sent with its row's number, what was carried elsewhere before first."""
        for action in (Action.CHANGED, Action.SEND):
            for n, *move in self._connection.execute(MOVES, [action]):
                yield n, PlannedMove._make(move)

    def outlines(self) -> Iterator[Outline]:
        """Yield what a plan's report shows of every row, in the manifest's order."""
        return map(Outline._make, self._connection.execute(OUTLINES))

    def outline_groups(self) -> Iterator[tuple[Outline, list[tuple[str, str, str, str]]]]:
        """Yield every row, in the manifest's order, together with the next that are like it.

        They differ from the first one's outline in `IDENTITY` alone, which is given of each.
        """
        ladders = dict(self._connection.execute(LADDERS))
        size = len(IDENTITY)
        identity, shared = itemgetter(*range(size)), itemgetter(slice(size, None))
        rows = self._connection.execute(GROUPED)
        while chunk := rows.fetchmany(CHUNK):
            for (ladder, *decided), alike in groupby(chunk, shared):
                identities = list(map(identity, alike))
                first = (-1, *identities[0], ladders[ladder], *decided)
                yield Outline._make(first), identities

    def outlines_first(self, most: int) -> Iterator[tuple[Outline, int]]:
        """Yield the first `most` rows of each action and reason, in the manifest's order.

        Each comes with how many rows it stands for; the last one for all that follow it too. The
        reasons of what is unchanged, which name each row's own history, are taken for one.
        """
        found: list[tuple[Outline, int]] = []
        for action, code, count in self._actions():
            rows = self._connection.execute(OUTLINES_OF, [action, code, most])
            outlines = list(map(Outline._make, rows))
            found += ((each, 1) for each in outlines[: most - 1])
            found += ((each, count - most + 1) for each in outlines[most - 1 :])
        yield from sorted(found)

    def outlines_alike(self) -> Iterator[tuple[Outline, int]]:
        """Yield the first row of each route, media, action and reason, and how many are like it."""
        for row in self._connection.execute(ALIKE):
            yield Outline._make(row[:-1]), row[-1]

    def _number_of(self, media: tuple[MediaMatrix, ...]) -> int:
        if (known := self._ladders.get(media)) is not None:
            return known
        ladder = self._ladders[media] = len(self._ladders)
        with self._working():
            self._connection.execute(
                "INSERT INTO ladders VALUES (?, ?)", (ladder, write_ladder(media))
            )
        return ladder

    def _flush(self) -> None:
        with self._working():
            self._connection.executemany(ADD_ROW, self._chunk)
        self._chunk.clear()

    def _judge(self, history: ClaimSource, selection: Selection) -> None:
        again, reverts = selection.again, selection.reverts
        rows = self._connection.execute(
            "SELECT n, destination_uri, interaction FROM rows ORDER BY n"
        )
        found = history.claims(((n, uri), interaction) for n, uri, interaction in rows)
        decisions = (
            _decision_row(n, decide(claims, uri, again=again, reverts=reverts), claims)
            for (n, uri), claims in found
        )
        with self._working():
            self._connection.executemany(ADD_DECISION, decisions)

    def _leaves_out(self, selection: Selection) -> bool:
        """Return whether some rows may have to be left out."""
        has_protected = self._connection.execute("SELECT 1 FROM protected LIMIT 1").fetchone()
        return bool(
            selection.only
            or selection.exclude
            or selection.interactions is not None
            or selection.limit is not None
            or has_protected
        )

    def _select(self, selection: Selection) -> None:
        """Mark what is not to be sent: protected, or left out by options.

        A row in doubt stays in doubt, and is not sent again.
        """
        protected = "SELECT n FROM rows JOIN protected USING (interaction)"
        self._connection.execute(
            "UPDATE decisions SET action = 'protected', code = 'protected', claim = NULL,"  # noqa: S608 - of constants
            " lineage = NULL, failed_as = NULL, reason = (SELECT 'protected by ' || protected.source"
            " FROM rows JOIN protected USING (interaction) WHERE rows.n = decisions.n)"
            f" WHERE action IN ('send', 'changed') AND n IN ({protected})"
        )
        self._connection.execute(
            f"UPDATE decisions SET left_out = 1 WHERE action = 'in_doubt' AND n IN ({protected})"  # noqa: S608 - as above
        )
        for patterns, wanted in ((selection.only, "NOT IN"), (selection.exclude, "IN")):
            if patterns:
                matches = matcher_of(patterns)
                rows = self._connection.execute("SELECT n, key FROM rows")
                self._connection.execute("DELETE FROM matched")
                self._connection.executemany(
                    "INSERT INTO matched VALUES (?)", ((n,) for n, key in rows if matches(key))
                )
                self._leave_out(f"{wanted} (SELECT n FROM matched)")  # noqa: S608 - of constants
        if selection.interactions is not None:
            self._connection.execute("DELETE FROM chosen")
            self._connection.executemany(
                "INSERT OR IGNORE INTO chosen VALUES (?)",
                ((one,) for one in selection.interactions),
            )
            self._leave_out("NOT IN (SELECT n FROM rows JOIN chosen USING (interaction))")
        if selection.limit is not None:
            self._connection.execute(
                "UPDATE decisions SET action = 'not_selected', reason = 'not selected',"
                " code = 'not_selected'"
                " WHERE n IN (SELECT n FROM decisions WHERE action IN (?, ?)"
                " ORDER BY failed_as IS NOT NULL, n LIMIT -1 OFFSET ?)",
                (*sorted(SENDS), selection.limit),
            )

    def _leave_out(self, which: str) -> None:
        """Leave out the rows whose number is `which`; a doubt is looked at, and not sent again."""
        self._connection.execute(
            "UPDATE decisions SET action = 'not_selected', reason = 'not selected', claim = NULL,"  # noqa: S608 - of constants
            f" code = 'not_selected', earlier = NULL WHERE action != 'in_doubt' AND n {which}"
        )
        self._connection.execute(
            f"UPDATE decisions SET left_out = 1 WHERE action = 'in_doubt' AND n {which}"  # noqa: S608 - as above
        )


def _decision_row(n: int, decision: Decision, claims: Sequence[Claim]) -> tuple[object, ...]:
    return n, _origin(decision, claims), *DECISION.write(decision)


def _origin(decision: Decision, claims: Sequence[Claim]) -> str | None:
    carried = last_carried(claims) if decision.action is Action.CHANGED else None
    return None if carried is None else carried.destination_uri
