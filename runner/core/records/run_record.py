"""The values that reports are rendered from (cli.md, "A run leaves")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple, Self

from runner.core.frozen import frozen
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.batch_progress import BatchProgress
from runner.core.records.undelivered import Undelivered
from runner.core.timestamps import seconds_between
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import WORDS, Code, Earlier


class AttemptRecord(NamedTuple):
    """One delivery of a transfer in this run. Times are seconds since the epoch."""

    n: int  # counts the transfer's deliveries in this run from 1
    message_id: str
    sent_at: float
    media_index: int  # 0: the requested matrix; i: the i-th fallback
    settled_at: float | None = None
    latency_ms: float | None = None
    status: str | None = None
    reason: str | None = None
    correlation_id: str | None = None  # by which the gateway's owner finds it


class CallbackRecord(NamedTuple):
    """One callback of a transfer and its delivery."""

    name: str
    webhook_id: str
    outcome: str  # the transfer's outcome that it reports
    state: str  # pending | delivered | failed | suppressed
    attempts: int
    reason: str | None = None


class TransferRecord(NamedTuple):
    """One transfer of the manifest and what this run did with it.

    report.json has these fields, in this order. A report makes one of each row, maybe millions: a
    tuple is made five times as fast as a frozen dataclass.
    """

    key: str
    source: str
    interaction_id: str
    destination_uri: str
    wave: int | None  # from 1; None: not sent, or no waves
    outcome: Outcome
    reason: str | None
    reason_code: str | None  # None: there is none
    message_id: str | None
    media_requested: Mapping[str, Any]
    media_negotiated: Mapping[str, Any] | None
    latency_ms: float | None
    attempts: tuple[AttemptRecord, ...] = ()
    callbacks: tuple[CallbackRecord, ...] = ()
    origin_uri: str | None = None  # where it was before, as far as a plan knows
    earlier: Earlier | None = None  # the earlier run's transfer that its outcome is
    before: str | None = None  # why it was not carried out yet when the run ended


IDENTITY = ("key", "source", "interaction_id", "destination_uri")
"""The fields of a transfer that differ from row to row where nothing has happened yet."""


class TransferGroup(NamedTuple):
    """Consecutive transfers that differ in `IDENTITY` alone: those of each, and the first of them."""

    record: TransferRecord
    identities: Sequence[tuple[str, str, str, str]]


@frozen
class ApprovalRecord:
    """A person's approval of the plan that was applied."""

    who: str  # as the file of allowed signers has it
    key: str  # its fingerprint
    file: str  # the name of the signature's file


@frozen
class FailedNotification:
    """A message that was not delivered."""

    event: str
    to: str  # such as notify[0], because the address is a secret
    why: str


@frozen
class NotificationRecord:
    """What became of the messages about a run."""

    sent: int
    suppressed: int  # under the simulator
    failed: int
    failures: tuple[FailedNotification, ...] = ()  # the first of them


@frozen
class WindowRecord:
    """When frames may leave, RFC 3339 as the manifest has it; None: no such end."""

    not_before: str | None
    not_after: str | None


@frozen
class OpeningRecord:
    """When the recurring windows are open, RFC 3339 in the manifest's zone and in UTC.

    An end that is None is further ahead than is looked.
    """

    opens: str
    closes: str | None
    opens_utc: str
    closes_utc: str | None


@frozen
class RunWindows:
    """When a run's windows were open, as they stood when it ended."""

    window: WindowRecord | None  # the dated one; None: the manifest has none
    zone: str | None  # in whose time the recurring ones are; None: there are none
    closed_at: str | None = None  # the closing while the run went on; None: there was none
    closed_at_utc: str | None = None
    openings: tuple[OpeningRecord, ...] = ()  # of the recurring ones, from the run's end on

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Return what `asdict` gave; raises `TypeError` on another shape."""
        fields_ = dict(kept)
        if fields_["window"] is not None:
            fields_["window"] = WindowRecord(**fields_["window"])
        fields_["openings"] = tuple(OpeningRecord(**each) for each in fields_["openings"])
        return cls(**fields_)


UNFINISHED = "unfinished"
"""The outcome of a run that goes on, or died."""

PLANNED = "planned"
"""The outcome of a dry run."""

_NOT_YET = "its turn had not come when this was reported"


@frozen
class RunRecord:
    """The report's `run`."""

    id: str
    batch: str
    environment: str
    driver: str
    gateway: str
    started_at: str
    finished_at: str | None
    outcome: str  # the exit code's name, `PLANNED`, or `UNFINISHED`
    exit_code: int | None  # None: the run goes on, or died
    runner_version: str
    host: str
    user: str
    labels: Mapping[str, str]
    manifest_path: str
    manifest_sha256: str
    options: Mapping[str, Any]
    explanation: str | None = None  # why the run ended as it did, for people
    waves: Sequence[int] = ()  # how many transfers are begun by each wave's end; none: no waves
    others_in_doubt: int = 0  # transfers in doubt that the manifest does not list
    reverts: str | None = None  # the run whose transfers it carried back
    description: str | None = None  # what the manifest says the batch is for
    caveats: Sequence[str] = ()  # what must be known of its journal's database, for people
    approvals: tuple[ApprovalRecord, ...] = ()  # of its plan
    notifications: NotificationRecord | None = None  # None: nobody was to be told
    windows: RunWindows | None = None  # None: frames may leave at any time, or it has not ended
    place_names: Mapping[str, str] = field(default_factory=dict)
    """Names of queues and users, by the destination with the id; those that were looked up."""

    @property
    def duration_s(self) -> float | None:
        """How long the run took, in seconds, from its begin to its end; every output says this one.

        The wait for a person's answer is part of it; the wait for the journal's lock, before, is
        not, nor are messages about its end. None: it has no end, or is a plan's.
        """
        span_s = seconds_between(self.started_at, self.finished_at)
        return None if span_s is None or self.outcome == PLANNED else round(max(span_s, 0.0), 3)

    @property
    def why_not_begun(self) -> str:
        """Why its transfers were not begun that were not."""
        if self.explanation is not None:
            return self.explanation
        return _NOT_YET if self.outcome == UNFINISHED else WORDS[Code.NO_TURN]

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote, in whatever version; raises `TypeError` on another shape."""
        known = {each.name for each in fields(cls)}
        record = cls(**{name: value for name, value in kept.items() if name in known})
        record = replace(record, caveats=tuple(record.caveats))
        if record.approvals:
            given = tuple(ApprovalRecord(**each) for each in kept["approvals"])
            record = replace(record, approvals=given)
        if record.notifications is not None:
            told = dict(kept["notifications"])
            failures = tuple(FailedNotification(**each) for each in told.pop("failures"))
            record = replace(record, notifications=NotificationRecord(**told, failures=failures))
        if record.windows is not None:
            record = replace(record, windows=RunWindows.from_json(kept["windows"]))
        return record

    def to_json(self) -> dict[str, Any]:
        """Return the form that journals keep, without optional fields that say nothing."""
        kept = asdict(self)
        if not self.others_in_doubt:
            del kept["others_in_doubt"]
        for name in ("reverts", "description", "notifications", "windows"):
            if kept[name] is None:
                del kept[name]
        for name in ("caveats", "approvals", "place_names"):
            if not kept[name]:
                del kept[name]
        return kept


@frozen
class TimelinePoint:
    """One bin of the timeline; `t_s` is the bin's start, seconds after the run's."""

    t_s: float
    sent: int
    settled: int
    in_flight: int
    rate_per_s: float | None


@frozen
class SessionClose:
    """One end of a session."""

    at: str
    code: int | None
    reason: str


class TimelineEventKind(StrEnum):
    """Kinds of timeline events, each with the meaning of `TimelineEvent.value`."""

    OPENED = "opened"  # the session's number
    LOST = "lost"
    CLOSED = "closed"  # by us
    SLOWED = "slowed"  # the pace, a second
    RECOVERED = "recovered"  # the pace; None: unlimited
    PAUSED = "paused"  # seconds of silence
    RENEWED = "renewed"  # tokens, all in all
    SHUT = "shut"  # failures in a row that opened the circuit
    ANSWERED = "answered"
    CONTROL = "control"  # `reason`: who, and what
    WAVE = "wave"  # its number; `reason` goes on: "of 3 began: 50 transfers"


@frozen
class TimelineEvent:
    """One event of the session's timeline."""

    t_s: float  # seconds after the timeline's beginning
    at: str
    turn: str  # of `TimelineEventKind`
    value: float | None = None
    code: int | None = None  # a close code
    reason: str | None = None


class WaitingPoint(NamedTuple):
    """How many waited at a destination, by the figures that came then."""

    t_s: float  # seconds after the timeline's beginning
    waiting: float


@frozen
class DestinationFigures:
    """What a run did to a destination with limits, and what it observed there."""

    destination_uri: str
    sent: int  # frames
    held_s: float  # how long transfers waited because it was full
    limited_s: float  # how long they waited for its own rate, or for its place in flight
    most_waiting: float | None = None  # None: it was not observed
    forecast_s: float | None = None  # when the last one would be sent, by the first figures
    took_s: float | None = None  # when the last frame was sent
    waiting: tuple[WaitingPoint, ...] = ()


@frozen
class Figures:
    """What the engine measured beyond the transfers themselves; None: not known, or there is none."""

    rate_limit_per_s: float | None = None
    rate_achieved_per_s: float | None = None
    peak_in_any_second: int | None = 0
    throttled: int | None = 0  # rate-limit answers
    sessions_opened: int | None = 0
    session_closes: tuple[SessionClose, ...] = ()
    tls: str | None = None
    token_renewals: int | None = 0
    timeline_bin_s: float = 1.0
    timeline: tuple[TimelinePoint, ...] = ()
    story: tuple[TimelineEvent, ...] = ()
    story_omitted: int = 0  # events beyond those kept, from the middle
    burst: int | None = None  # frames beyond the limit that one second may hold; None: not kept
    decided: int = 0  # decisions and gates' verdicts in the chain
    destinations: tuple[DestinationFigures, ...] = ()  # those with limits, in order


NOT_KEPT = Figures(
    peak_in_any_second=None, throttled=None, sessions_opened=None, token_renewals=None
)
"""The figures of a run that has not ended, or died: the journal gets them at its end."""


@frozen
class PlanFigures:
    """A plan in numbers; `estimate_s` is None where neither a limit nor a pause gives one."""

    send: int
    unchanged: int
    changed: int  # those of `send` whose interaction was carried elsewhere before
    in_doubt: int
    estimate_s: float | None
    waves: tuple[int, ...] = ()  # how many are begun by each wave's end, before any look-up
    max_failures: int | None = None  # how many of `send` may fail; None: any number
    window: WindowRecord | None = None  # None: at any time
    ends_at: str | None = None  # RFC 3339, when sending ends at the earliest; None: no windows
    misses_window: bool = False  # `ends_at` is later than `closes_at`
    selections: int = 0  # rows unknown until the gateway is asked; not in `send`
    failed_before: int = 0  # those of `send` that were rejected or failed before: they come last
    at_once: int | None = None  # how many may be under way, as `max_failures` bounds it; None: more
    openings: tuple[OpeningRecord, ...] = ()  # of the recurring windows; none: no such windows
    zone: str | None = None  # in whose time the openings are
    skipped: int = 0  # rows that their history, or the manifest's list of protected ones, skips
    approvals: int = 0  # people who must sign a plan file before it is applied; 0: it needs none
    needs_preflight: bool = False  # only the gateway knows its rows or the ids of its names
    pauses_s: float = 0.0  # those seconds of `estimate_s` that are pauses before waves
    opens_at: str | None = None  # RFC 3339, when the windows open; None: they are open, or none are
    closes_at: str | None = None  # RFC 3339, when they close after that; None: not

    @property
    def sending_s(self) -> float | None:
        """How long the limits let the sending take, pauses aside; None: they do not say."""
        return (self.estimate_s or 0.0) - self.pauses_s or None


@frozen
class DecisionRecord:
    """What a person decided while the run went on."""

    at: str
    who: str
    what: str
    why: str | None


@frozen
class GateRecord:
    """A gate's verdict, where it was another than before."""

    at: str
    gate: str
    wave: int | None
    verdict: str  # pass | fail | inconclusive
    text: str


@frozen
class AuditEntry:
    """One link of the chain: `hash` = SHA-256 hex of (previous hash + `body`), both as text."""

    seq: int
    body: str  # canonical JSON
    hash: str


@frozen
class ReportSource:
    """Everything a report is rendered from. The callables stream, and may be called again."""

    run: RunRecord
    transfers: Callable[[], Iterator[TransferRecord]]
    figures: Figures = field(default_factory=Figures)
    plan: PlanFigures | None = None  # set for a dry run's report
    remarks: Sequence[str] = ()  # a plan's explanation, a line each
    audit: Callable[[], Iterator[AuditEntry]] | None = None  # None: a dry run
    audit_previous: str = "0" * 64  # the hash before the first entry
    manifest: ManifestExcerpt | None = None  # None: it was not kept
    # All transfers once more, for what many of them have in common; None: only one by one.
    groups: Callable[[], Iterator[TransferGroup]] | None = None
    # Transfers with how many share their route, media, outcome and cause; None: to be counted.
    counts: Callable[[], Iterator[tuple[TransferRecord, int]]] | None = None
    decisions: tuple[DecisionRecord, ...] = ()
    gates: tuple[GateRecord, ...] = ()
    progress: Callable[[], BatchProgress | None] = lambda: None  # None: its batch's first run
    # What the run, and earlier ones of its batch, still owe to callbacks, and what it gave up.
    undelivered: Sequence[Undelivered] = ()
