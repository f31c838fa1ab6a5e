"""What a run leaves, as values: the report's content before it is rendered (cli.md, "A run leaves")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.core.outcome import Outcome


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One delivery of a transfer in this run. Times are RFC 3339 UTC texts."""

    n: int  # counts the transfer's deliveries in this run from 1
    message_id: str
    sent_at: str
    media_index: int  # 0: the requested matrix; i: the i-th fallback
    settled_at: str | None = None
    latency_ms: float | None = None
    status: str | None = None
    reason: str | None = None
    correlation_id: str | None = None  # by which the gateway's owner finds it


@dataclass(frozen=True, slots=True)
class CallbackRecord:
    """What became of one callback of a transfer."""

    name: str
    webhook_id: str
    outcome: str  # the transfer's outcome that was told
    state: str  # pending | delivered | failed | suppressed
    attempts: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """One transfer of the manifest and what this run did with it."""

    key: str
    source: str
    interaction_id: str
    destination_uri: str
    outcome: Outcome
    reason: str | None
    message_id: str | None
    media_requested: Mapping[str, Any]
    media_negotiated: Mapping[str, Any] | None
    latency_ms: float | None
    attempts: tuple[AttemptRecord, ...] = ()
    callbacks: tuple[CallbackRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The report's `run`."""

    id: str
    batch: str
    environment: str
    driver: str
    gateway: str
    started_at: str
    finished_at: str | None
    outcome: str  # the exit code's name, "planned", or "unfinished"
    exit_code: int | None  # None: the run goes on, or died
    runner_version: str
    host: str
    user: str
    labels: Mapping[str, str]
    manifest_path: str
    manifest_sha256: str
    options: Mapping[str, Any]
    explanation: str | None = None  # why the run ended as it did, for people


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One bin of the timeline; `t_s` is the bin's start, seconds after the run's."""

    t_s: float
    sent: int
    settled: int
    in_flight: int
    rate_per_s: float | None


@dataclass(frozen=True, slots=True)
class SessionClose:
    """One end of a session."""

    at: str
    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What the engine measured and the transfers don't tell."""

    rate_limit_per_s: float | None = None
    rate_achieved_per_s: float | None = None
    peak_in_any_second: int = 0
    throttled: int = 0  # rate-limit answers
    sessions_opened: int = 0
    session_closes: tuple[SessionClose, ...] = ()
    tls: str | None = None
    token_renewals: int = 0
    timeline_bin_s: float = 1.0
    timeline: tuple[TimelinePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """A plan in numbers; `estimate_s` is None where no limit gives one."""

    send: int
    unchanged: int
    changed: int  # those of `send` whose interaction was carried elsewhere before
    in_doubt: int
    estimate_s: float | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One link of the chain: `hash` = SHA-256 hex of (previous hash + `body`), both as text."""

    seq: int
    body: str  # canonical JSON
    hash: str


@dataclass(frozen=True, slots=True)
class ReportSource:
    """Everything a report is rendered from. The callables stream, and may be called again."""

    run: RunRecord
    transfers: Callable[[], Iterator[TransferRecord]]
    figures: Figures = field(default_factory=Figures)
    plan: PlanFigures | None = None  # set for a dry run's report
    audit: Callable[[], Iterator[AuditEntry]] | None = None  # None: a dry run
    audit_previous: str = "0" * 64  # the hash before the first entry
