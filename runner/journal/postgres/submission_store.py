"""A lane's journal whose next run is a submission's: each step of the run is the submission's too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from runner.core.errors import UsageError
from runner.core.exit_code import HANDED_OVER, ExitCode
from runner.core.journal_location import JournalLocation
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.frozen_plan import FrozenPlan, FrozenRow
from runner.core.transfer.plan_decision import Action
from runner.journal.postgres.access import LaneLock, PostgresJournal
from runner.journal.postgres.connection import Connection, JournalUrl, ask, connect, translated
from runner.journal.postgres.lane_session import LaneSession
from runner.journal.postgres.lease import Watcher
from runner.journal.postgres.store import Store
from runner.ports.fleet import SubmissionContent, SubmissionOver, SubmissionState, check_size
from runner.ports.journal_access import Lane

MOST_OPTIONS = 1 << 20
"""Most bytes of a submission's options that are read."""

GOT_ON = 20
"""Events of a run by which it got on, so that its death is not its submission's fault."""

# Read once the lane is held: whoever held it before has said by then what became of the submission.
# The first deaths are followed at once; what kills each worker that takes it up must not kill all.
_ATTEMPTS = "CASE WHEN %(seq)s - claimed_seq > %(got_on)s THEN 0 ELSE attempts END"
_IS_CANCELLED = "EXISTS (SELECT FROM runner.orders WHERE submission = %(submission)s)"
_CLAIM = (
    "UPDATE runner.submissions SET"  # noqa: S608 - of constants
    f" state = CASE WHEN {_IS_CANCELLED} THEN 'cancelled' ELSE 'running' END,"
    f" ended_at = CASE WHEN {_IS_CANCELLED} THEN clock_timestamp() END,"
    " lane = %(lane)s, worker = %(worker)s, claimed_seq = %(seq)s,"
    f" attempts = {_ATTEMPTS} + 1, retry_at = clock_timestamp() + interval '1 second'"
    f" * CASE WHEN {_ATTEMPTS} < 3 THEN 0 ELSE least(2 ^ ({_ATTEMPTS} - 2), 300) END"
    " WHERE id = %(submission)s AND state IN ('waiting', 'running')"
    " AND (lane IS NULL OR lane = %(lane)s) RETURNING state, first_run, last_transfer"
)
_FREEZE = (
    "UPDATE runner.submissions SET run = %(run)s, explanation = NULL, first_run = coalesce(first_run, %(run_no)s),"
    " last_transfer = coalesce(last_transfer, %(last)s)"
    " WHERE id = %(submission)s AND state = 'running' RETURNING id"
)
_FROZEN = (
    "SELECT interaction_id, destination_uri, action, n, failed_as FROM runner.rows"
    " WHERE lane = %(lane)s AND run = %(run)s"
)
_CONTENT = (
    "SELECT left(manifest, 5000),"  # noqa: S608 - of constants
    f" CASE WHEN octet_length(options) <= {MOST_OPTIONS} THEN options END,"
    " (SELECT coalesce(sum(octet_length(content)), 0) FROM runner.submission_files"
    " WHERE submission = %(id)s),"
    " (SELECT count(DISTINCT name) FROM runner.submission_files WHERE submission = %(id)s)"
    " FROM runner.submissions WHERE id = %(id)s"
)
_PIECES = (
    "SELECT name, content FROM runner.submission_files WHERE submission = %(id)s"
    " ORDER BY name, part"
)
_END = (
    "UPDATE runner.submissions SET state = %(state)s, exit_code = %(code)s,"
    " explanation = %(explanation)s, ended_at = clock_timestamp() WHERE id = %(submission)s"
)
_HAND_OVER = (
    "UPDATE runner.submissions SET state = 'waiting', worker = NULL, attempts = 0, retry_at = NULL"
    " WHERE id = %(submission)s"
)


class SubmissionLane(PostgresJournal):
    """The journal of a lane, by which one submission is carried."""

    def __init__(
        self,
        location: JournalLocation,
        *,
        submission: int,
        worker: str,
        ttl_s: float,
        watcher: Watcher | None = None,
    ) -> None:
        super().__init__(location)
        self._at = JournalUrl.parse(location.text)
        self._submission = submission
        self._worker = worker
        self._ttl_s = ttl_s
        self._watcher = watcher
        self.frozen: FrozenPlan | None = None

    @contextmanager
    def content(self) -> Iterator[SubmissionContent]:
        """Return what was submitted, its files piece by piece, over a connection of its own.

        Raises `UsageError` if it cannot be read or is too large, `StorageError`.
        """
        number = {"id": self._submission}
        with closing(connect(self._at)) as connection, translated(self._at):
            ((manifest, options, size, count),) = ask(connection, _CONTENT, number)
            check_size(int(size), count)
            # Row by row: the whole may be larger than this process should be.
            pieces = connection.cursor(binary=True).stream(_PIECES.encode(), number)
            yield SubmissionContent(manifest, self._options(options), pieces)

    def _options(self, text: str | None) -> Mapping[str, Any]:
        """Return the options from their JSON. Raises `UsageError`."""
        found = None if text is None else _object(text)
        if found is None:
            raise UsageError(
                f"the options of submission {self._submission} cannot be read: they are no JSON"
                f" object of {MOST_OPTIONS:,} bytes at most, with finite numbers and whole"
                " characters; submit it again with `runner submit`"
            )
        return found

    def for_lane(self, lane: Lane) -> SubmissionLane:
        """Return this one: the worker chose the lane."""
        super().for_lane(lane)
        return self

    def lock(self) -> LaneLock:
        """Return the lane's lease, not acquired yet."""
        make = partial(SubmissionStore, submission=self._submission, worker=self._worker, of=self)
        return LaneLock(self._at, ttl_s=self._ttl_s, watcher=self._watcher, make_store=make)


class SubmissionStore(Store):
    """The lane opened to write, for a submission. Raises `SubmissionOver` if none is to be run."""

    def __init__(
        self,
        session: LaneSession,
        *,
        environment: str,
        origin: str,
        submission: int,
        worker: str,
        of: SubmissionLane,
    ) -> None:
        super().__init__(session, environment=environment, origin=origin)
        self._submission = submission
        self._worker = worker
        claimed: list[tuple[Any, ...]] = []
        self._commit([], partial(self._claim, claimed))
        if not claimed or claimed[0][0] != SubmissionState.RUNNING:
            raise SubmissionOver(f"submission {submission} is not to be run any more")
        _, first_run, last_transfer = claimed[0]
        of.frozen = None if first_run is None else self._frozen(first_run, last_transfer)

    def _claim(self, claimed: list[tuple[Any, ...]], connection: Connection) -> None:
        values = self._values(worker=self._worker, seq=self.seq, got_on=GOT_ON)
        claimed[:] = ask(connection, _CLAIM, values)

    def _frozen(self, first_run: int, last_transfer: int) -> FrozenPlan:
        with translated(self._session.url):
            rows = self._ask(_FROZEN, {"run": first_run})
        return FrozenPlan(
            first_run,
            {
                canonical_interaction(interaction): FrozenRow(uri, Action(action), n, failed_as)
                for interaction, uri, action, n, failed_as in rows
            },
            last_transfer,
        )

    def _with_plan(self, connection: Connection) -> None:
        values = self._values(run=self.run_id, run_no=self.run_no, last=self.last_transfer_id)
        if not ask(connection, _FREEZE, values):  # by another worker of the same name
            raise SubmissionOver(f"submission {self._submission} was ended meanwhile")

    def _with_run_end(self, connection: Connection, record: Mapping[str, Any]) -> None:
        code = ExitCode(record["exit_code"])
        if code in HANDED_OVER:
            self._do(connection, _HAND_OVER, self._values())
            return
        is_cancelled = code is ExitCode.INTERRUPTED  # by an order: a worker has no terminal
        state = SubmissionState.CANCELLED if is_cancelled else SubmissionState.ENDED
        values = self._values(state=state, code=int(code), explanation=record.get("explanation"))
        self._do(connection, _END, values)

    def _values(self, **values: object) -> dict[str, object]:
        return {"lane": self._lane, "submission": self._submission, **values}


def _object(text: str) -> Mapping[str, Any] | None:
    """Return a JSON object that came from outside; None for what any file or database would refuse."""
    try:
        found = json.loads(text)
        json.dumps(
            found, ensure_ascii=False, allow_nan=False
        ).encode()  # neither NaN nor half a pair
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
