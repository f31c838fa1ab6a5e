"""The history port: reads runs, transfers, claims, doubts and callbacks of a journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from runner.core.control import CommandName
from runner.core.frozen import frozen
from runner.core.pacing.batch_so_far import EarlierRuns
from runner.core.pacing.pace_left import PaceLeft
from runner.core.records.chained_record import StoredRun
from runner.core.records.run_record import AuditEntry, ReportSource, RunRecord
from runner.core.records.undelivered import Undelivered
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import Claim
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import State
from runner.ports.journal import Doubt, JournalledTransfer
from runner.ports.observer import Progress

T = TypeVar("T")

LATEST = "latest"
"""The name of the newest run."""


@frozen
class JournalledRun:
    """A run as the journal holds it now; `finished` False: it is running, or it died."""

    no: int
    record: RunRecord
    finished: bool
    counts: Mapping[Outcome, int]  # what is under way counts as in doubt
    under_way: int
    not_selected: int
    record_fault: str | None = None  # how the record differs from the one in the chain


@frozen
class HeldTransfer:
    """A transfer that is in doubt or under way, with its place in the manifest."""

    run: str  # the run that delivered it
    key: str
    source: str
    interaction_id: str
    destination_uri: str
    state: State
    message_id: str | None
    reason: str | None


@frozen
class KeyedTransfer:
    """A transfer found by a run and a key, and the run that took it up."""

    row: PlannedRow
    transfer_id: int
    lineage: int
    version: int
    state: State
    reason: str | None
    run: str
    batch: str


class PendingCallback(NamedTuple):
    """A callback that is owed. `body` is the exact JSON text to post."""

    no: int  # rises with each callback of the journal
    webhook_id: str
    callback: str
    body: str
    attempts: int


class RunMoves(NamedTuple):
    """Where a run moved an interaction."""

    destination_uri: str
    transfer_id: int
    run: str


class ChainPosition(NamedTuple):
    """A run, the hash that it recorded as the one before it, and the hash that stands there."""

    run: str
    recorded: str
    actual: str | None


class Provenance(NamedTuple):
    """Where a database's journal was written, for hosts to remember; a file has none."""

    server: str = ""  # the cluster's id, a slash, its timeline
    adoptions: tuple[str, ...] = ()  # ids of a person's words that accepted it, oldest first

    def covers(self, adoption: str) -> bool:
        """Return whether a person accepted the journal after a host saw it with this adoption.

        What the host remembers is then not asked for: the person knows that it may be missing.
        """
        *earlier, latest = self.adoptions or ("",)
        return adoption != latest and (not adoption or adoption in earlier)


NO_PROVENANCE = Provenance()


class ClaimSource(Protocol):
    """Finds what earlier runs did to interactions."""

    def claims(self, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
        """Yield the transfers of each interaction that has any, oldest first.

        `wanted` are pairs of a mark, which comes back with the answer, and an interaction in its
        canonical form; they are taken page by page. All answers are of one moment. Raises
        `StorageError`.
        """


class EventSource(Protocol):
    """A journal's audit chain, as far as checkpoints are compared with it."""

    @property
    def lineage_id(self) -> str:
        """The journal's own id, which its copies share."""

    def has_event(self, seq: int, head: str) -> bool:
        """Return whether the chain's event `seq` has the hash `head`."""

    def waived(self) -> frozenset[str]:
        """Return the chain heads that were waived by --new-history."""

    def provenance(self) -> Provenance:
        """Return where a database's journal was written, and who accepted it."""


class History(ClaimSource, EventSource, Protocol):
    """A journal opened to read, also while a run writes it; for threads that take turns.

    Every method raises `StorageError` if the journal cannot be read.
    """

    @property
    def environment(self) -> str:
        """The environment that the journal was made for."""

    @property
    def origin(self) -> str:
        """The gateway whose transfers it holds."""

    # Runs

    def runs(self, limit: int) -> Sequence[JournalledRun]:
        """Return the newest runs, newest first."""

    def run(self, run_id: str) -> JournalledRun:
        """Return one run; `latest` is the newest. Raises `UsageError` that names the nearest."""

    def run_number(self, run_id: str) -> int:
        """Return a run's number; `latest` is the newest. Raises `UsageError` as `run` does."""

    def is_newest(self, run: int, other: str) -> bool:
        """Return whether no run of its batch began after `run`, in this journal or as run `other`."""

    def report_source(self, run: int, explanation: str | None = None) -> ReportSource:
        """Return what a run's report is rendered from, streaming.

        `explanation` is why an unfinished run ended: the reason of transfers that were not begun. Raises
        `StorageError` where the run's record is not the one that the chain has.
        """

    def stored_runs(self) -> Sequence[StoredRun]:
        """Return every run with its record as the journal's table has it, oldest first."""

    # Transfers

    def last_transfer_id(self) -> int:
        """Return the newest transfer's id; 0: there is none."""

    def pending(
        self,
        run: int,
        after: int,
        limit: int,
        *,
        failed_before: bool = False,
        destination_uri: str | None = None,
    ) -> Sequence[PlannedRow]:
        """Return up to `limit` rows of a run's plan that are to be sent, after row `after`.

        `failed_before` selects rows that were rejected or failed in an earlier run; otherwise the rest.
        `destination_uri` selects rows with exactly this destination.
        """

    def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage's transfers."""

    def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to; see `Journal.find`."""

    def find_by_key(self, run: JournalledRun, key: str) -> KeyedTransfer | None:
        """Return the transfer of a run's row; None: it was never begun.

        An earlier run's has the key that it had there: keys may stand for others by now.
        Raises `UsageError`, naming what is in doubt, if the run has no such key.
        """

    def moved_since(self, transfer_id: int) -> Mapping[str, RunMoves]:
        """Return what newer transfers carried out, by interaction in its canonical form."""

    def earlier_runs(self, first: int) -> EarlierRuns:
        """Return what the run with this number, and those that continue its batch, have done."""

    def pace_left(self) -> PaceLeft:
        """Return what the gateway last asked of earlier runs: a lower rate, a wait."""

    # Doubts

    def count_held(self) -> int:
        """Return how many transfers of the whole journal are in doubt or under way."""

    def fenced_sender(self, transfer_id: int) -> str | None:
        """Return who sent a transfer last, if it lost the journal and may still be alive.

        A frame that it has an intent for may still leave. None: it ended, or its death was proven.
        """

    def held_by_run(self, run: int, limit: int) -> Sequence[HeldTransfer]:
        """Return what is in doubt or under way of a run's rows, in the manifest's order."""

    def doubts(self, run: int) -> Sequence[Doubt]:
        """Return every transfer in doubt, with this run's row where it lists and selects it."""

    def doubts_elsewhere(self, run: int) -> Sequence[tuple[str, str, str]]:
        """Return (run, key, interaction) of doubts that no row of the run's plan names."""

    # Callbacks

    def outbox(self, after: int, limit: int) -> Sequence[PendingCallback]:
        """Return callbacks that are owed, after number `after`."""

    def callbacks_owed(self) -> int:
        """Return how many callbacks are owed, of whatever run."""

    def undelivered(self, run: int) -> Sequence[Undelivered]:
        """Return what a run, and earlier ones of its batch, owe to callbacks, and what it gave up."""

    # The audit chain

    def last_event(self) -> tuple[int, str]:
        """Return number and hash of the chain's last event; (0, genesis): there is none."""

    def chain(self, run: int | None = None) -> Iterator[AuditEntry]:
        """Yield every event of the journal, or of the run with this number, oldest first."""

    def heads_before_runs(self) -> Sequence[ChainPosition]:
        """Return where each run begins in the chain, oldest first."""


@frozen
class Hold:
    """What holds a run that is going on: `cause` is a noun phrase, `ends_by` the command that ends it."""

    cause: str
    ends_by: CommandName | None = None  # None: it ends by itself, or by `stop`
    words: str | None = None  # as a predicate, where that is not "waits for …"

    def __str__(self) -> str:
        return self.words or f"waits for {self.cause}"


class RunFollower(Protocol):
    """One run of a journal, looked at again and again. Raises `StorageError`."""

    @property
    def has_news(self) -> bool:
        """Whether the last look found new events."""

    def run(self) -> tuple[RunRecord, bool, bool]:
        """Return the run's record, whether it has ended, and whether it is the newest."""

    def look(self, at: float) -> Progress:
        """Return where the run stands at `at`, seconds since the epoch."""

    def holds(self, at: float) -> Sequence[Hold]:
        """Return what holds the run at `at`, as the last look found it."""
