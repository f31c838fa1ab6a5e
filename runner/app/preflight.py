"""`plan --preflight`: looks up the transfers that would be sent, read-only."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from runner.app.capacity import foresee_capacity
from runner.app.run_options import RunOptions
from runner.app.system_clock import SystemClock
from runner.composition import opened_gateway
from runner.core.errors import GatewayError, LookUpFailed, LookUpForbidden
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import Manifest
from runner.core.transfer.doubt_evidence import Evidence, weigh
from runner.core.transfer.lookup_verdict import Interaction, LookupVerdict, judge_lookup
from runner.core.transfer.message import GatewayNote, Reply
from runner.core.transfer.plan_decision import SENDS, Action, Decision
from runner.core.transfer.reasons import WORDS, Code
from runner.core.transfer.rows import PlannedRow
from runner.ports import Clock, Doubt, Gateway, Observer, Progress, SessionLost, SessionOpened
from runner.ports.history import History
from runner.staging.rows import Staging

LOOKS_AT_ONCE = 64
"""Look-ups under way at once; `http_rate` applies as well."""

PROGRESS_S = 1.0

_WORDS = {
    LookupVerdict.TRANSFERABLE: "would be sent",
    LookupVerdict.CARRIED_OUT: "would be found transferred",
    LookupVerdict.ENDED: "would be skipped",
    LookupVerdict.ALREADY_THERE: "would be skipped",
    LookupVerdict.NO_LONGER_WAITING: "would be skipped",
    LookupVerdict.MOVED_ON: "would be skipped",
    LookupVerdict.BEING_SERVED: "would be skipped",
    LookupVerdict.DESTINATION_UNSEEN: "would be rejected",
    LookupVerdict.MISSING: "would be rejected",
    LookupVerdict.HIDDEN: "would be rejected",
    LookupVerdict.STATE_UNKNOWN: "would be rejected",
}
UNKNOWN = "the look-up failed"


@frozen
class Forecast:
    """What would happen to a row, according to its look-up."""

    verdict: str  # what would happen, as text
    why: str
    code: Code
    sent: bool  # it would be delivered
    origin_uri: str | None = None  # where it is now

    @property
    def reason(self) -> str:
        """Verdict and reason."""
        return f"{self.verdict}: {self.why}"


@dataclass(slots=True)
class PreflightResult:
    """The result of the look-ups. `error`: why they ended early."""

    rows: dict[int, Forecast] = field(default_factory=dict)  # by number
    elsewhere: list[str] = field(
        default_factory=list
    )  # doubts of transfers that the manifest does not list
    capacity: list[str] = field(default_factory=list)  # of target queues, in words
    error: GatewayError | None = None

    @property
    def remarks(self) -> Sequence[str]:
        """The result, a line each; those that belong to the first one are indented."""
        if self.error is not None:
            return [f"preflight ended early: {self.error}"]
        counts = Counter(each.verdict for each in self.rows.values())
        parts = [f"{n:,} {words}" for words, n in counts.most_common()]
        details = (f"  {each}" for each in (*parts, *self.elsewhere, *self.capacity))
        return ["preflight: token and session are good", *details]


def run_preflight(
    request: RunOptions, manifest: Manifest, staging: Staging, observer: Observer
) -> PreflightResult:
    """Check token and session, and look up what would be sent and what is in doubt; read-only.

    Rows must be planned already. Raises `StorageError` if the journal cannot be read.
    """
    journal = request.journal_access(manifest)
    with journal.open_history() if journal.exists() else nullcontext() as history:
        location = None if history is None else journal.location
        return asyncio.run(_PreflightRun(manifest, staging, location, history, observer).run())


class _PreflightRun:
    """One preflight. Implements `GatewayListener`."""

    def __init__(
        self,
        manifest: Manifest,
        staging: Staging,
        journal: JournalLocation | None,
        history: History | None,
        observer: Observer,
    ) -> None:
        self._manifest = manifest
        self._staging = staging
        self._journal = journal
        self._history = history
        self._observer = observer
        self._clock: Clock = SystemClock()
        self._found = PreflightResult()
        self._given_up: asyncio.Future[Any]
        self._has_shown = False  # an interaction: this client may look up
        self._forbidden: list[LookUpForbidden] = []  # until then
        self._doubts: Mapping[int, Doubt] = {}
        if history is not None:
            self._doubts = {doubt.standing.transfer_id: doubt for doubt in history.doubts(0)}
        counts = staging.counts()
        self._total = sum(counts.get(action, 0) for action in (*SENDS, Action.IN_DOUBT))

    async def run(self) -> PreflightResult:
        self._given_up = asyncio.get_running_loop().create_future()
        try:
            async with opened_gateway(
                self._manifest, self._journal, self._clock, random.random
            ) as gateway:
                try:
                    await gateway.open(self)
                    await self._look(gateway)
                finally:
                    await gateway.close()
        except GatewayError as error:
            self._found.error = error
        return self._found

    async def _look(self, gateway: Gateway) -> None:
        rows = self._staging.planned()
        looks = [asyncio.create_task(self._look_at(gateway, rows)) for _ in range(LOOKS_AT_ONCE)]
        progress = asyncio.create_task(self._report_progress())
        everything: asyncio.Future[Any] = asyncio.gather(*looks)
        try:
            await asyncio.wait({everything, self._given_up}, return_when=asyncio.FIRST_COMPLETED)
            if self._given_up.done():
                self._given_up.result()  # raises
            everything.result()
            await self._look_elsewhere(gateway)
            if self._forbidden and not self._has_shown:
                raise self._forbidden[0]
            sends = Counter(
                row.destination_uri
                for row, _ in self._staging.planned()
                if row.n in self._found.rows and self._found.rows[row.n].sent
            )
            self._found.capacity = await foresee_capacity(self._manifest, gateway, sends)
        finally:
            for task in (*looks, progress):
                task.cancel()
            await asyncio.gather(*looks, progress, everything, return_exceptions=True)

    async def _look_at(self, gateway: Gateway, rows: Iterator[tuple[PlannedRow, Decision]]) -> None:
        """Look up rows from an iterator that several tasks share."""
        for row, verdict in rows:
            if verdict.action in SENDS:
                self._found.rows[row.n] = await self._foresee(gateway, row, verdict)
            elif verdict.action is Action.IN_DOUBT:
                why, code = await self._weigh(gateway, self._doubts.get(verdict.claim or 0))
                self._found.rows[row.n] = Forecast("in doubt", why, code, sent=False)

    async def _foresee(self, gateway: Gateway, row: PlannedRow, verdict: Decision) -> Forecast:
        try:
            seen = await self._looked_up(gateway, row.interaction_id)
        except LookUpFailed as error:
            why = f"{UNKNOWN}: {error.what}"
            return Forecast("would fail", why, Code.LOOK_UP_FAILED, sent=False)
        except LookUpForbidden:
            code = Code.INTERACTION_HIDDEN
            return Forecast(_WORDS[LookupVerdict.HIDDEN], WORDS[code], code, sent=False)
        ours = frozenset[str]()
        if self._history is not None and row.lineage is not None:
            ours = self._history.message_ids(row.lineage)
        lookup_verdict, reason = judge_lookup(
            seen,
            destination_uri=row.destination_uri,
            message_ids=ours,
            preflight=True,
            found_at=row.found_at,
            expected_destination_uri=row.expected_destination_uri,
        )
        if lookup_verdict is LookupVerdict.TRANSFERABLE:
            changed = ", carried to another destination before"
            why = f"{seen.state}{changed * (verdict.action is Action.CHANGED)}"
            return _sent(why, verdict, seen)
        stays = {LookupVerdict.CARRIED_OUT, LookupVerdict.NO_LONGER_WAITING, LookupVerdict.HIDDEN}
        looks_first = self._manifest.policy.preflight or row.expected_destination_uri is not None
        if lookup_verdict not in stays and not looks_first:
            return _sent(f"{reason}, and policy.preflight is off", verdict, seen)
        assert lookup_verdict.code is not None  # noqa: S101 - all but FIT have one
        return Forecast(
            _WORDS[lookup_verdict],
            reason or "",
            lookup_verdict.code,
            sent=False,
            origin_uri=seen.destination_uri,
        )

    async def _looked_up(self, gateway: Gateway, interaction_id: str) -> Interaction:
        """Look an interaction up.

        Raises `LookUpForbidden` for one that may not be seen; as a `GatewayError` for all, once so many
        were refused and none was shown: the client lacks the right.
        """
        try:
            seen = await gateway.look_up(interaction_id)
        except LookUpForbidden as error:
            if self._has_shown:
                raise
            self._forbidden.append(error)
            if len(self._forbidden) <= LOOKS_AT_ONCE:
                raise
            raise GatewayError(
                environment=error.environment, url=error.url, what=error.what, check=error.check
            ) from error
        self._has_shown = True
        return seen

    async def _weigh(self, gateway: Gateway, doubt: Doubt | None) -> tuple[str, Code]:
        """Return the evidence of a look-up on a doubt, as text and cause; nothing is changed."""
        if doubt is None:
            return "under way, or left by a run that died", Code.RUN_DIED
        try:
            seen = await self._looked_up(gateway, doubt.standing.row.interaction_id)
        except LookUpFailed as error:
            return f"{UNKNOWN}: {error.what}", Code.LOOK_UP_FAILED
        except LookUpForbidden:
            return WORDS[Code.INTERACTION_HIDDEN], Code.INTERACTION_HIDDEN
        evidence, reason = weigh(
            seen,
            baseline=doubt.intent.baseline,
            destination_uri=doubt.standing.row.destination_uri,
            message_ids=doubt.message_ids,
        )
        if evidence is Evidence.CARRIED_OUT:
            return f"{reason}, apply would settle it as transferred", evidence.code
        return reason, evidence.code

    async def _look_elsewhere(self, gateway: Gateway) -> None:
        """Look up the journal's doubts that the manifest does not list."""
        listed = {verdict.claim for _, verdict in self._staging.planned()}
        for transfer_id, doubt in self._doubts.items():
            if transfer_id not in listed:
                reason, _ = await self._weigh(gateway, doubt)
                key = doubt.standing.row.key
                self._found.elsewhere.append(f"in doubt and not in the manifest: {key} ({reason})")

    async def _report_progress(self) -> None:
        while True:
            await self._clock.sleep(PROGRESS_S)
            self._observer.progressed(
                Progress(
                    total=self._total,
                    settled=len(self._found.rows),
                    outcomes={},
                    in_flight=0,
                    sent=0,
                    rate_per_s=None,
                    stage="look-ups, read-only",
                )
            )

    # GatewayListener

    def replied(self, reply: Reply) -> None:
        """Ignore it: nothing was sent on the session."""

    def noted(self, note: GatewayNote) -> None:
        """Ignore it: nothing was sent on the session."""

    def session_opened(self, opened: SessionOpened) -> None:
        """Report that token and session are good."""
        self._observer.noticed("session opened", tls=opened.tls or "plain loopback")

    def session_lost(self, lost: SessionLost) -> None:
        """Report it; look-ups need no session."""
        self._observer.noticed("session closed", code=lost.code, reason=lost.reason)

    def gave_up(self, error: Exception) -> None:
        """End the preflight: no session can be kept."""
        if not self._given_up.done():
            self._given_up.set_exception(error)

    def slowed(self, why: str) -> None:
        """Report that the gateway asked to slow down; nothing is sent."""
        self._observer.warned("the gateway asks to slow down", why=why)

    def paused(self, wait_s: float, why: str) -> None:
        """Report that look-ups wait."""
        self._observer.warned("waiting", seconds=round(wait_s, 1), why=why)


def _sent(why: str, verdict: Decision, seen: Interaction) -> Forecast:
    code = Code.PLANNED_CHANGED if verdict.action is Action.CHANGED else Code.PLANNED
    return Forecast("would be sent", why, code, sent=True, origin_uri=seen.destination_uri)
