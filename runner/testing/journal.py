"""A fake journal, as strict as the real one: compare-and-set, one holder, ordered entries."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.core.errors import StorageError
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import HELD, Event, State, step
from runner.ports import Doubt, Entry, JournalledTransfer, Note


@dataclass
class FakeJournal:
    """Implements `ports.Journal`. `log` may be shared with a gateway, to see what came first.

    The first commit with an entry for which `fails` is true fails, and so do all later ones.
    """

    rows: Sequence[PlannedRow] = ()
    commit_s: float = 0.001
    fails: Callable[[Entry | Note], bool] = lambda _entry: False
    log: list[tuple[str, Any]] = field(default_factory=list)
    past: dict[str, JournalledTransfer] = field(default_factory=dict)  # earlier runs, by message id
    left: Sequence[Doubt] = ()  # what earlier runs left in doubt
    broken: bool = False
    _standing: dict[int, Entry] = field(default_factory=dict)
    _deliveries: dict[str, tuple[int, int]] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _last_id: int = 0
    _waiting: deque[tuple[Sequence[Entry | Note], asyncio.Future[None]]] = field(
        default_factory=deque
    )

    def __post_init__(self) -> None:
        for doubt in self.left:
            self.past |= dict.fromkeys(doubt.message_ids, doubt.standing)
            self._ids |= doubt.message_ids
        self._last_id = max((s.transfer_id for s in self.past.values()), default=0)

    @property
    def entries(self) -> list[Entry]:
        """Every durable entry, in order."""
        return [what for kind, what in self.log if kind == "entry"]

    @property
    def notes(self) -> list[Note]:
        """Every durable note, in order."""
        return [what for kind, what in self.log if kind == "note"]

    def events(self, key: str) -> list[str]:
        """Return the events of a transfer, as the audit log names them."""
        return [entry.event.value for entry in self.entries if entry.row.key == key]

    def state(self, key: str) -> State:
        """Return the state of a transfer; a row without entries is ready."""
        states = [entry.state for entry in self.entries if entry.row.key == key]
        return states[-1] if states else State.READY

    def record(self, *entries: Entry | Note) -> Awaitable[None]:
        """Make entries durable after `commit_s`, in the order of the calls."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((entries, done))
        loop.call_later(self.commit_s, self._commit)  # timers of one moment come in any order
        return done

    def new_transfer_id(self) -> int:
        """Return the next id."""
        self._last_id += 1
        return self._last_id

    def may_write(self) -> bool:
        """Return True: no lease runs out."""
        return True

    async def pending(
        self,
        after: int,
        limit: int,
        *,
        failed_before: bool = False,
        destination_uri: str | None = None,
    ) -> Sequence[PlannedRow]:
        """Return up to `limit` rows after number `after`."""
        await asyncio.sleep(0)
        rows = [row for row in self.rows if (row.failed_as is not None) == failed_before]
        if destination_uri is not None:
            rows = [row for row in rows if row.destination_uri == destination_uri]
        return [row for row in rows if row.n > after][:limit]

    async def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of a lineage's deliveries, in this run and earlier ones."""
        await asyncio.sleep(0)
        earlier = {i for i, standing in self.past.items() if standing.lineage == lineage}
        own = {i for i, (t, _) in self._deliveries.items() if self._standing[t].lineage == lineage}
        return frozenset(earlier | own)

    async def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to."""
        await asyncio.sleep(0.002)
        if message_id in self._deliveries:
            transfer_id, n = self._deliveries[message_id]
            last = self._standing[transfer_id]
            code = last.reason_code or last.status
            return JournalledTransfer(
                last.row, transfer_id, last.lineage, last.version + 1, last.state, n, code
            )
        return self.past.get(message_id)

    async def doubts(self) -> Sequence[Doubt]:
        """Return the doubts of earlier runs."""
        await asyncio.sleep(0)
        return self.left

    def _commit(self) -> None:
        entries, done = self._waiting.popleft()
        self.broken = self.broken or any(self.fails(entry) for entry in entries)
        if self.broken:
            done.set_exception(StorageError("the journal could not be written (disk full)"))
            return
        for entry in entries:
            self._keep(entry)
        done.set_result(None)

    def _keep(self, entry: Entry | Note) -> None:
        if isinstance(entry, Note):
            self.log.append(("note", entry))
            return
        version, state = self._stands(entry)
        assert (version, step(state, entry.event)) == (entry.version, entry.state), entry
        self._standing[entry.transfer_id] = entry
        if entry.intent is not None:
            repeated = entry.intent.message_id in self._ids
            assert repeated == (entry.event is Event.REPEATED), "an id was used twice"
            self._ids.add(entry.intent.message_id)
            self._deliveries[entry.intent.message_id] = entry.transfer_id, entry.intent.n
        holders = [
            e.transfer_id
            for e in self._standing.values()
            if e.state in HELD and e.row.interaction_id == entry.row.interaction_id
        ]
        assert len(holders) <= 1, f"{entry.row.interaction_id} is held by {holders}"
        self.log.append(("entry", entry))

    def _stands(self, entry: Entry) -> tuple[int, State]:
        """Return version and state of a transfer before an entry."""
        if (last := self._standing.get(entry.transfer_id)) is not None:
            return last.version + 1, last.state
        for standing in self.past.values():
            if standing.transfer_id == entry.transfer_id:
                return standing.version, standing.state
        return 0, State.READY
