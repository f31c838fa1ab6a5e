"""A journal by its location: opened to read, or locked and opened to write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import urlsplit

from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.transfer.plan_decision import Decision
from runner.core.transfer.rows import PlannedRow
from runner.ports.control import Control, ControlClient
from runner.ports.history import EventSource, History, RunFollower
from runner.ports.journal import Entry, Note, RunJournal


@frozen
class Holder:
    """The process that holds a lock."""

    pid: int
    host: str
    since: str  # RFC 3339, UTC, whole seconds
    control: str | None = None  # where it takes commands; None: it does not
    uid: int | None = None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class JournalStore(EventSource, Protocol):
    """A journal opened to write. Every method is one transaction, durable when it returns.

    Raises `StorageError`, after which the store must not be used again.
    """

    @property
    def is_new(self) -> bool:
        """Whether the journal was made just now."""

    @property
    def seq(self) -> int:
        """The number of the chain's last event."""

    @property
    def head(self) -> str:
        """The hash of the chain's last event."""

    @property
    def last_transfer_id(self) -> int:
        """The newest transfer's id when the store was opened; 0: there was none."""

    @property
    def run_no(self) -> int:
        """The number of the run that was begun; 0: none was."""

    @property
    def run_id(self) -> str:
        """The id of the run that was begun; empty: none was."""

    def begin_run(
        self,
        run_id: str,
        record: Mapping[str, Any],
        *,
        at: float,
        manifest: ManifestExcerpt | None = None,
        **fields: Any,
    ) -> None:
        """Store that a run begins, its manifest's excerpt, and the record and `fields` in its first event."""

    def recover(self, *, at: float) -> int:
        """Put in doubt what a run that died left under way; return how many there were."""

    def store_plan(self, plan: Callable[[], Iterable[tuple[PlannedRow, Decision]]]) -> None:
        """Store the run's plan, which is read once for each attempt; its rows do not change any more."""

    def caveats(self) -> Sequence[str]:
        """Return what a report must say of the journal itself, for people."""

    def waive(self, heads: Collection[str], *, at: float) -> None:
        """Store that the run does without the histories that have these heads."""

    def record(self, entries: Sequence[Entry | Note]) -> None:
        """Append events and change transfers accordingly, in one transaction."""

    def start_writer(self, history: History) -> RunJournal:
        """Return the begun run's journal for the engine, on the running event loop.

        From then until it is closed it alone writes.
        """

    def finish_run(self, record: Mapping[str, Any], figures: Mapping[str, Any], at: float) -> None:
        """Store how the run ended, in its last event too."""

    def seal(self) -> None:
        """Store what the transfers are now, so that damage shows when the journal is opened."""

    def close(self) -> None:
        """Close the journal; what was recorded is durable already."""


class AcquirableLock(Protocol):
    """A lock that may be waited for; the context gives it up."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...

    def acquire(self, timeout_s: float) -> float:
        """Take the lock, waiting `timeout_s` at most; return how long that took, in seconds.

        Raises `Locked`, naming the holder, and `StorageError`.
        """


class JournalLock(AcquirableLock, Protocol):
    """The right to write a journal."""

    def open_store(self, *, environment: str, origin: str) -> JournalStore:
        """Open the journal to write, after `acquire`; make it where there is none.

        Raises `StorageError` if it belongs to another gateway, or is damaged.
        """

    def open_control(self, group: str | None) -> Control:
        """Return where the run takes commands, after `acquire`; a `group` may give them too.

        Raises `StorageError` if it cannot.
        """


@frozen
class Lane:
    """A gateway and account: what has one history, one writer and one rate, whatever it is called."""

    origin: str
    account: str  # a digest

    @property
    def name(self) -> str:
        """The name for people and URLs: the gateway's host, and what tells it from any other."""
        host = urlsplit(self.origin).hostname or self.origin
        digest = hashlib.sha256(f"{self.origin}\n{self.account}".encode()).hexdigest()
        return f"{host}-{digest[:12]}"


class JournalAccess(Protocol):
    """A journal at its location; nothing is open yet."""

    @property
    def location(self) -> JournalLocation:
        """The location as it was named."""

    @property
    def address(self) -> str:
        """The location from whatever folder: an absolute path, or the URL."""

    @property
    def real_address(self) -> str:
        """One address for one journal, whatever names lead to it."""

    def for_lane(self, lane: Lane) -> JournalAccess:
        """Return the journal of a gateway and account at this location.

        Raises `UsageError` if the location names another.
        """

    def exists(self) -> bool:
        """Return whether the journal has been made.

        Raises `StorageError`, or `OSError` for a file, where that cannot be known.
        """

    def is_reachable(self) -> bool:
        """Return whether the journal exists where this process can open it."""

    def is_same(self, other: JournalLocation) -> bool:
        """Return whether a location leads to this very journal, and not to a copy."""

    def check_place(self) -> None:
        """Raise `StorageError` if its place cannot be relied on for locks and durability."""

    def open_history(self) -> AbstractContextManager[History]:
        """Open it to read; closed with the context.

        Raises `UsageError` if there is no journal, `StorageError` if it cannot be read.
        """

    def follow(self, run: int) -> AbstractContextManager[RunFollower]:
        """Open one run to be looked at again and again. Raises `StorageError`."""

    def lock(self) -> JournalLock:
        """Return the journal's lock, not acquired yet."""

    def control_client(self, holder: Holder) -> ControlClient:
        """Return how to give commands to the run that holds the lock."""

    def holder(self) -> Holder | None:
        """Return the process that holds the lock, without taking it; None: it is free.

        Raises `StorageError` if that cannot be found out.
        """


class Durability(StrEnum):
    """What a database's journal may lose when its server is lost; recorded when it is made."""

    SINGLE = "single"  # one server without standbys
    SYNCHRONOUS = "synchronous"  # nothing: a standby has each commit before it counts
    PROVIDER = "provider"  # what the provider of a managed service promises
    ACCEPT_LOSS = "accept-loss"  # the last commits, with standbys that lag behind


class ServerCheck(NamedTuple):
    """Something that a database's journal relies on, in words, and whether it holds."""

    what: str
    holds: bool


class Imported(NamedTuple):
    """A history that another database's journal goes on with."""

    journal: str  # its address from now on
    before: str  # its address until then
    seq: int  # its last event there
    is_new: bool  # False: an earlier import had brought it already


class Adopted(NamedTuple):
    """A lane whose database was accepted by a person's word."""

    lane: str
    seq: int  # the event that says so
    last: str | None  # when the last run's last event before it was; None: there is none


@frozen
class KnownHistory:
    """What the last run of a gateway left. `seq` and `head` are of the last event that it saw."""

    origin: str
    journal: str  # its real address
    lineage: str
    run: str
    seq: int
    head: str
    server: str = ""  # `Provenance.server`
    adoption: str = ""  # the last one that it saw


class GatewayEntry(Protocol):
    """What this host knows of one gateway and account: which journal holds its history."""

    @property
    def origin(self) -> str:
        """The gateway's address."""

    @property
    def lock(self) -> AcquirableLock:
        """The lock of the gateway on this host."""

    def make_folder(self) -> bool:
        """Make the folder that entries lie in; False: it cannot be made."""

    def read(self) -> KnownHistory | None:
        """Return what is known of the gateway; None: nothing. Raises `StorageError`."""

    def write(self, known: KnownHistory) -> None:
        """Remember a history, whole or not at all. Raises `StorageError`."""
