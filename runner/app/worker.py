"""`worker`: watches lanes, takes them over, and carries what is submitted.

One thread watches and decides; each submission is a run of `apply` in a thread of its own. The queue
says who tries, and the lane's lease who may: what two workers try at once, one of them gets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from threading import Event, Thread

from runner.app import apply as use_case
from runner.app.gateway_identity import lane_of, lane_of_environment
from runner.app.plan import read_manifest
from runner.app.signals import RunOrders
from runner.app.submission_options import SubmittedRun, options_from
from runner.app.worker_config import WorkerConfig
from runner.core.errors import (
    GatewayError,
    Locked,
    ManifestInvalid,
    RunnerError,
    StorageError,
    Unfit,
    UsageError,
)
from runner.core.exit_code import ExitCode
from runner.core.pacing.batch_so_far import BatchSoFar, EarlierRuns, batch_so_far
from runner.core.system_shortage import shortage
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.frozen_plan import FrozenPlan, Moved, held_to
from runner.core.transfer.plan_decision import SENDS
from runner.ports import Observer
from runner.ports.fleet import (
    FleetWorker,
    Submission,
    SubmissionContent,
    SubmissionJournal,
    SubmissionOver,
)
from runner.ports.history import RunMoves
from runner.ports.journal_access import Lane
from runner.staging.rows import Selection, Staging

POLL_S = 0.25
"""How often lanes, submissions and orders are looked at."""

AGAIN_S, LATER_S = 2.0, 60.0
"""How soon this worker tries a submission again: after a failure of the journal, and after a refusal."""

FOLDER = "submission"
"""Of a submission's files, beside its rows: both go when its run ends, and after a kill too."""

LONGEST_NAME, LONGEST_PART = 2000, 255
"""Bytes of a submission's file name: what file systems take, below a folder."""

MOST_TOLD = 5
"""Problems of a manifest that a refusal names."""


@dataclass(slots=True)
class WorkerFigures:
    """What `/metrics` and `/healthz` show."""

    looked_at: float = float("-inf")  # monotonic seconds: when the loop last went round
    reached_at: float = float("-inf")  # when the journal last answered
    running: int = 0
    is_drained: bool = False
    ended: dict[int, int] = field(default_factory=dict)  # runs of submissions by exit code
    failures: int = 0  # runs that ended with an error


@dataclass(slots=True)
class _Job:
    """A submission that this process carries."""

    submission: Submission
    lane: Lane
    orders: RunOrders
    code: ExitCode | None = None
    error: Exception | None = None
    thread: Thread | None = None


class Worker:
    """The daemon's loop. `run` returns once it was stopped and has handed over what it ran."""

    def __init__(
        self,
        config: WorkerConfig,
        fleet: FleetWorker,
        observer_for: Callable[[int | None], Observer],
        *,
        process: str,
        figures: WorkerFigures | None = None,
        after_look: Callable[[], None] = lambda: None,
    ) -> None:
        """Name the collaborators; `after_look` is called each time the loop goes round."""
        self._config = config
        self._fleet = fleet
        self._observer_for = observer_for
        self._observer = observer_for(None)
        self._process = process
        self._after_look = after_look
        self._lanes: Mapping[str, Lane] = {}
        self._jobs: dict[int, _Job] = {}
        # By whether it was cancelled: that order is followed at once, whatever was put off before.
        self._not_before: dict[tuple[int, bool], float] = {}
        self._stop = Event()
        self._stops: SimpleQueue[None] = SimpleQueue()  # its `put` may interrupt itself
        self._is_enlisted = False
        self._is_lost = False
        self._drained_by: str | None = None
        self.figures = figures or WorkerFigures()

    def stop(self) -> None:
        """Hand over what runs, and end. For signal handlers, which interrupt whatever is done."""
        self._stops.put(None)

    def run(self) -> None:
        """Watch and carry until stopped. Raises what is wrong with the worker itself at its start."""
        own = self._config.own
        self._lanes = {
            name: lane_of_environment(own.environment(name)) for name in own.environments
        }
        follower = Thread(target=self._follow_stop, name="stop", daemon=True)
        follower.start()
        while True:
            open_submissions = self._look()
            if self._stop.is_set() or self.figures.is_drained:
                self._hand_over()
            else:
                self._follow_orders(open_submissions)
                self._start(open_submissions)
            self._reap()
            self.figures.running = len(self._jobs)
            self.figures.looked_at = time.monotonic()
            self._after_look()
            if self._stop.is_set() and not self._jobs:
                break
            self._stop.wait(POLL_S) if not self._stop.is_set() else time.sleep(POLL_S)
        follower.join()
        with suppress(StorageError):  # `status --fleet` shows when it was seen last
            self._fleet.retire()

    def _follow_stop(self) -> None:
        """Hand over once that is ordered, though the loop waits for the journal just then."""
        self._stops.get()
        self._stop.set()
        self._hand_over()

    def _hand_over(self) -> None:
        self._order_all(ExitCode.TERMINATED, self._why_handed_over())

    def _look(self) -> Sequence[Submission]:
        """Return what is to be done; nothing while the journal does not answer."""
        try:
            if not self._is_enlisted:
                self._fleet.enlist(environments=self._lanes, process=self._process)
                self._is_enlisted = True
            found, self._drained_by = self._fleet.look(self._jobs)
            self.figures.is_drained = self._drained_by is not None
        except (StorageError, UsageError) as error:
            if isinstance(error, UsageError | Unfit) and self.figures.reached_at < 0:
                raise  # a worker that is not set up yet: no time heals that
            if not self._is_lost:
                self._observer.warned(
                    "the journal does not answer: nothing is taken, and what runs stops sending by"
                    " its lease",
                    why=str(error),
                )
            self._is_lost = True
            return ()
        if self._is_lost:
            self._observer.noticed("the journal answers again")
        self._is_lost = False
        self.figures.reached_at = time.monotonic()
        return found

    def _follow_orders(self, found: Sequence[Submission]) -> None:
        for each in found:
            if each.is_cancelled and each.id in self._jobs:
                why = f"cancelled by database role {each.cancelled_by}"
                self._jobs[each.id].orders.give(ExitCode.INTERRUPTED, why)

    def _why_handed_over(self) -> str:
        by = self._drained_by
        drained = "" if by is None else f": the worker is drained by database role {by}"
        return f"handed over to another worker{drained}"

    def _order_all(self, code: ExitCode, reason: str) -> None:
        for job in list(self._jobs.values()):
            job.orders.give(code, reason)

    def _start(self, found: Sequence[Submission]) -> None:
        """Take up what is due, in order: what has begun in a lane comes before all that has not."""
        busy = {job.lane for job in self._jobs.values()}
        for each in sorted(found, key=lambda each: (not each.is_begun, each.id)):
            lane = self._lanes.get(each.environment)
            if lane is None or lane in busy or (each.lane not in {None, lane.name}):
                continue
            if each.fault is not None and not (each.is_begun or each.is_cancelled):
                self._refuse(
                    each, ExitCode.USAGE, f"submission {each.id} cannot be read: {each.fault}"
                )
                continue
            if not (each.is_due or each.is_cancelled):
                if each.is_begun:
                    busy.add(lane)
                continue
            busy.add(lane)  # of those that wait, the first has its turn
            if time.monotonic() < self._not_before.get((each.id, each.is_cancelled), 0.0):
                continue
            if len(self._jobs) >= self._config.at_once or not self._fleet.may_take(lane):
                continue
            self._take_up(each, lane)

    def _take_up(self, submission: Submission, lane: Lane) -> None:
        job = _Job(submission, lane, RunOrders())
        journal = self._fleet.journal_of(submission.id, lane)
        self._observer.noticed("submission taken up", submission=submission.id, lane=lane.name)
        job.thread = Thread(
            target=self._carry, args=(job, journal), name=f"submission-{submission.id}"
        )
        self._jobs[submission.id] = job
        if self._stop.is_set():  # ordered after the last look at it, and before the job was known
            self._hand_over()
        job.thread.start()

    def _carry(self, job: _Job, journal: SubmissionJournal) -> None:
        """Run a submission in a thread of its own; `_reap` reads how it went."""
        try:
            job.code = self._apply(job, journal)
        except Exception as error:  # noqa: BLE001 - told apart, and a bug logged, by `_reap`
            job.error = error

    def _apply(self, job: _Job, journal: SubmissionJournal) -> ExitCode:
        if job.submission.is_cancelled:
            _end_cancelled(journal, job)
        with Staging() as staging:
            with journal.content() as content:
                given = options_from(content.options)
                manifest = _write_files(staging.make_folder(FOLDER), content)
            request = SubmittedRun(
                manifest=manifest,
                report_dir=self._config.report_dir,
                own=self._config.own,
                environment=job.submission.environment,
                journal=journal.location,
                submission=job.submission.id,
                submitted_as=content.manifest,
                submitted_by=job.submission.submitted_by,
                submitted_from=job.submission.submitted_from,
                **given.given(),
            )
            loaded, _ = read_manifest(request, staging)
            if lane_of(loaded) != job.lane:
                raise StorageError("the environment's account has changed: restart the worker")
            hooks = use_case.RunHooks(
                self._observer_for(job.submission.id),
                job.orders,
                lambda _question: True,
                journal=journal,
                hold=partial(_hold, journal, request.selection),
            )
            return use_case.apply(request, loaded, staging, hooks).code

    def _reap(self) -> None:
        """Note what has ended."""
        for number, job in list(self._jobs.items()):
            if job.thread is None or job.thread.is_alive():
                continue
            del self._jobs[number]
            if job.error is not None:
                self._failed(job.submission, job.error)
            elif job.code is not None:
                ended = self.figures.ended
                ended[job.code] = ended.get(job.code, 0) + 1
                self._observer.noticed(
                    "run of a submission ended", submission=number, code=job.code
                )
                if job.code in {ExitCode.STORAGE, ExitCode.LOCKED}:
                    self._delay(job.submission, AGAIN_S)

    def _failed(self, submission: Submission, error: Exception) -> None:
        if isinstance(error, SubmissionOver | Locked):
            return  # another worker was quicker
        self.figures.failures += 1
        error = shortage(error) or error
        match error:
            case ManifestInvalid() if error.problems[0].place.file == str(self._config.own.path):
                self._put_off(submission, LATER_S, _problems_text(error))
            case ManifestInvalid():
                self._refuse(submission, ExitCode.INVALID, _problems_text(error))
            case UsageError():
                self._refuse(submission, ExitCode.USAGE, str(error))
            case GatewayError():
                self._refuse(submission, ExitCode.UNREACHABLE, str(error))
            case RunnerError():
                self._put_off(submission, AGAIN_S, str(error))
            case _:
                logging.getLogger("runner").error("an internal error", exc_info=error)
                self._refuse(submission, ExitCode.BUG, _bug_text(error))

    def _put_off(self, submission: Submission, seconds: float, why: str) -> None:
        """Try a submission again later; `status --fleet` shows why."""
        self._delay(submission, seconds)
        self._observer.warned("submission put off", submission=submission.id, why=why)
        with suppress(StorageError):  # the log has it
            self._fleet.note(submission.id, why)

    def _delay(self, submission: Submission, seconds: float) -> None:
        self._not_before[submission.id, submission.is_cancelled] = time.monotonic() + seconds

    def _refuse(self, submission: Submission, code: ExitCode, why: str) -> None:
        """End a submission of which nothing was sent; one that has begun is tried again later."""
        try:
            is_ended = self._fleet.refuse(submission.id, code, why)
        except StorageError:
            is_ended = False
        if not is_ended:
            self._put_off(submission, LATER_S, why)
            return
        self._observer.warned("submission refused", submission=submission.id, why=why)


def _end_cancelled(journal: SubmissionJournal, job: _Job) -> None:
    """End a submission that was cancelled after its worker had died, as the owner of its lane may.

    Its files are not read: it may have been cancelled because they are refused by now. Raises
    `SubmissionOver`, and `Locked` if another process has the lane.
    """
    with journal.lock() as lock:
        lock.acquire(0.0)
        lock.open_store(environment=job.submission.environment, origin=job.lane.origin).close()


def _hold(journal: SubmissionJournal, selection: Selection, staging: Staging) -> BatchSoFar | None:
    """Hold the rows of a later run to the plan of the submission's first one.

    Returns where the batch stands; None: this is its first run. The limit chose that plan's rows.
    Chosen anew, it would leave out some that are not done.
    """
    plan = journal.frozen
    if plan is None:
        return None
    with journal.open_history() as history:
        staging.plan(history, replace(selection, limit=None))
        moved = history.moved_since(plan.last_transfer_id)
        earlier = history.earlier_runs(plan.first_run)
    hold_to_plan(staging, plan, moved, earlier)
    to_send = (row.turn for row, decision in staging.planned() if decision.action in SENDS)
    return batch_so_far(plan, earlier, to_send)


def hold_to_plan(
    staging: Staging, plan: FrozenPlan, moved: Mapping[str, RunMoves], earlier: EarlierRuns
) -> None:
    """Amend the decisions on the rows of a later run of a batch."""
    amended = []
    for row, decision in staging.planned():
        interaction = canonical_interaction(row.interaction_id)
        there = moved.get(interaction)
        held = held_to(
            plan.rows.get(interaction),
            None if there is None else Moved(*there),
            earlier.finished(interaction),
            row.destination_uri,
            decision,
        )
        if held is not decision:
            amended.append((row.n, held))
    staging.amend(amended)


def _write_files(folder: Path, content: SubmissionContent) -> Path:
    """Write a submission's files below a folder of its own, piece by piece; return the manifest's path.

    Raises `UsageError` for a name that leads elsewhere, `StorageError` if this host cannot keep them.
    """
    has_manifest = False
    for name, pieces in groupby(content.files, key=itemgetter(0)):
        path = folder.joinpath(*_parts(name))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.writelines(piece for _, piece in pieces)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise UsageError(f"the submission's file {name[:100]!r} is there twice") from error
        except OSError as error:
            raise StorageError(
                f"the submission's file {name[:100]!r} cannot be written ({error.strerror})"
            ) from error
        has_manifest |= name == content.manifest
    if not has_manifest:
        raise UsageError("the submission does not hold its manifest")
    return folder.joinpath(*_parts(content.manifest))


def _parts(name: str) -> Sequence[str]:
    """Return the parts of a file's name. Raises `UsageError` for one that no folder takes, or leads elsewhere."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\x00" in name or "\\" in name:
        raise UsageError(f"the submission's file {name[:100]!r} is outside its folder")
    if len(name.encode()) > LONGEST_NAME or any(
        len(part.encode()) > LONGEST_PART for part in parts
    ):
        raise UsageError(f"the submission's file {name[:100]!r}… has too long a name")
    return parts


def _bug_text(error: Exception) -> str:
    """Return what the database may know of a bug: its text may hold anything."""
    return f"an internal error ({type(error).__name__}); the worker's log has its trace"


def _problems_text(invalid: ManifestInvalid) -> str:
    """Return a manifest's first problems in one line, by the names of its files."""
    parts = [
        f"{Path(each.place.file).name}:{each.place.line}: {each.code} {each.message}; {each.help}"
        for each in invalid.problems[:MOST_TOLD]
    ]
    more = len(invalid.problems) - MOST_TOLD
    return " · ".join(parts) + (f" · and {more} more" if more > 0 else "")
