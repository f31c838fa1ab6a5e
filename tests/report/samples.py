"""Report sources to render: small and large, ordinary and hostile."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from runner.core.records.batch_progress import BatchProgress
from runner.core.records.run_record import (
    NOT_KEPT,
    UNFINISHED,
    ApprovalRecord,
    AttemptRecord,
    CallbackRecord,
    DecisionRecord,
    DestinationFigures,
    GateRecord,
    OpeningRecord,
    PlanFigures,
    ReportSource,
    RunRecord,
    RunWindows,
    SessionClose,
    TransferRecord,
    WaitingPoint,
)
from runner.core.transfer.outcome import Outcome
from tests.report.measured import MANIFEST, at_s, audit, figures, stamp

OPUS = {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}}
VIDEO = OPUS | {
    "video": {"codec": "vp8", "resolution": "1280x720", "fps": 30, "bandwidth_kbps": 1200}
}

RUN = RunRecord(
    id="20261201T210000Z-7f3a",
    batch="billing-cutover",
    environment="production",
    driver="interaction-websocket",
    gateway="edge-ams",
    started_at="2026-12-01T21:00:00.000000Z",
    finished_at="2026-12-01T21:00:41.250000Z",
    outcome="in-doubt",
    exit_code=6,
    runner_version="0.1.0",
    host="ops-7",
    user="mara",
    labels={"change": "CHG0031234"},
    manifest_path="manifests/billing.yaml",
    manifest_sha256="5e" * 32,
    options={"rate": 25.0, "only": [], "again": False},
)

_KINDS: tuple[tuple[Outcome, str | None, str | None], ...] = (
    (Outcome.TRANSFERRED, None, "codec_negotiated"),
    (Outcome.TRANSFERRED, None, "transfer_initiated"),
    (Outcome.TRANSFERRED, None, "codec_negotiated"),
    (Outcome.REJECTED, "destination_unreachable", "destination_unreachable"),
    (Outcome.TRANSFERRED, None, "codec_negotiated"),
    (Outcome.UNCHANGED, "transferred by run 20261130T210000Z-11aa", None),
    (Outcome.IN_DOUBT, "no reply within 10 s", None),
    (Outcome.FAILED, "rate_limited", "rate_limited"),
    (Outcome.SKIPPED, "interaction is completed", None),
    (Outcome.TRANSFERRED, None, "transfer_initiated"),
    (Outcome.UNATTEMPTED, "the run stopped before its turn", None),
    (Outcome.TRANSFERRED, None, "codec_negotiated"),
)
_UNSENT = {Outcome.UNCHANGED, Outcome.SKIPPED, Outcome.UNATTEMPTED}


PROGRESS = BatchProgress(
    previous_run="20261130T210000Z-11aa",
    previous_started_at="2026-11-30T21:00:00.000000Z",
    runs=3,
    moved_in_all=45,
    transferred=29,
    failed=8,
    failed_again=2,
    in_doubt=4,
    still_in_doubt=1,
    settled_transferred=1,
)


def identity(*parts: object) -> str:
    """Return a UUID that depends on `parts` alone."""
    return str(uuid.UUID(bytes=hashlib.md5(repr(parts).encode()).digest(), version=4))


def attempt(number: int, n: int, **changes: Any) -> AttemptRecord:
    latency = 18.0 * (1 + (number * 7919 % 97) / 40) ** 3
    sent_s = number * 0.04 + n
    known: dict[str, Any] = {
        "n": n,
        "message_id": identity("message", number, n),
        "sent_at": at_s(sent_s),
        "media_index": 0,
        "settled_at": at_s(sent_s + latency / 1000),
        "latency_ms": latency,
        "status": "codec_negotiated",
    }
    return AttemptRecord(**(known | changes))


def transfer(number: int, *, succeed: bool = False) -> TransferRecord:
    """Return the transfer of line `number`: every kind in turn, or only the first."""
    outcome, reason, status = _KINDS[0 if succeed else number % len(_KINDS)]
    attempts: tuple[AttemptRecord, ...] = ()
    if outcome not in _UNSENT:
        attempts = _attempts(number, outcome, reason, status, single=succeed)
    interaction = identity("interaction", number)
    return TransferRecord(
        key=f"vip-{number}" if number % 10 == 4 and not succeed else interaction,
        source=f"billing.csv:{number + 2}",
        interaction_id=interaction,
        destination_uri=f"genesys://queue/billing-{number % 7}",
        wave=None,
        outcome=outcome,
        reason=reason,
        reason_code=None,
        message_id=attempts[-1].message_id if attempts else None,
        media_requested=VIDEO if number % 5 == 0 else OPUS,
        media_negotiated=OPUS if outcome is Outcome.TRANSFERRED and number % 2 == 0 else None,
        latency_ms=attempts[-1].latency_ms if attempts else None,
        attempts=attempts,
        callbacks=_callbacks(number, outcome),
    )


def _attempts(
    number: int, outcome: Outcome, reason: str | None, status: str | None, *, single: bool
) -> tuple[AttemptRecord, ...]:
    if outcome is Outcome.IN_DOUBT:
        return (attempt(number, 1, settled_at=None, latency_ms=None, status=None, reason=reason),)
    if outcome is Outcome.FAILED:
        return tuple(attempt(number, n, status=status, reason=reason) for n in (1, 2, 3, 4))
    if number % 9 == 0 and not single:
        return (
            attempt(number, 1, status="codec_unsupported", reason="vp8 is off"),
            attempt(number, 2, media_index=1, status=status),
        )
    return (attempt(number, 1, status=status, reason=reason),)


def _callbacks(number: int, outcome: Outcome) -> tuple[CallbackRecord, ...]:
    if outcome in {Outcome.UNCHANGED, Outcome.UNATTEMPTED}:
        return ()
    state = "failed" if number % 13 == 0 else "delivered"
    webhook_id = identity("webhook", number)
    return (CallbackRecord("crm", webhook_id, outcome.value, state, 1 + number % 2),)


def mixed(count: int = 60) -> ReportSource:
    """Every outcome in turn, in a batch's third run."""
    return ReportSource(
        RUN,
        lambda: map(transfer, range(count)),
        figures(),
        audit=audit,
        manifest=MANIFEST,
        progress=lambda: PROGRESS,
    )


def died() -> ReportSource:
    """Return a run that was killed, as its journal has it."""
    run = replace(RUN, outcome=UNFINISHED, exit_code=None, finished_at=None)
    return replace(mixed(), run=run, figures=NOT_KEPT)


APPROVALS = (
    ApprovalRecord(
        "bob@example.net", "SHA256:ZkS1Y0m5mJ9H3y0cX3m7r3bq0Wc2d8eV5x1p7q9sT4u", "plan.json.bob.sig"
    ),
    ApprovalRecord(
        "eve@example.net", "SHA256:h4Yw1m0Zt9xK7cQ2b5nV8r6pL3sD0fG1jUaEiOoTyR8", "plan.json.eve.sig"
    ),
)
OPENINGS = tuple(
    OpeningRecord(
        f"2026-12-{day:02d}T22:00:00+01:00",
        f"2026-12-{day + 1:02d}T04:00:00+01:00",
        f"2026-12-{day:02d}T21:00:00Z",
        f"2026-12-{day + 1:02d}T03:00:00Z",
    )
    for day in range(2, 7)
)


NAMES = {"genesys://queue/billing-1": "Billing EU", "genesys://queue/billing-3": "Billing <new>"}


LIMITED = (
    DestinationFigures(
        "genesys://queue/billing-1", 8, 5.6, 12.3, 8.0, 16.2, 24.7,
        (WaitingPoint(0.0, 0.0), WaitingPoint(9.0, 8.0), WaitingPoint(30.0, 2.0)),
    ),
    DestinationFigures("genesys://queue/billing-3", 1, 0.0, 0.0),
)  # fmt: skip


def guarded() -> ReportSource:
    """Return an approved run that its window stopped."""
    windows = RunWindows(
        None, "Europe/Amsterdam", "2026-12-02T04:00:00+01:00", "2026-12-02T03:00:00Z", OPENINGS
    )
    run = replace(
        RUN,
        outcome="stopped",
        exit_code=5,
        explanation="the windows (policy.windows) open at 2026-12-02T22:00:00+01:00, in 18 h 00 min",
        approvals=APPROVALS,
        place_names=NAMES,
        windows=windows,
    )
    decided = tuple(DecisionRecord(stamp(0), each.who, "approved 9c1e", None) for each in APPROVALS)
    return replace(
        mixed(),
        run=run,
        decisions=(*decided, DecisionRecord(stamp(9), "mara", "rate 20/s", "calls wait")),
        gates=(GateRecord(stamp(8), "overflow-healthy", 2, "pass", "waiting is 0 (< 20)"),),
        figures=replace(figures(), destinations=LIMITED),
    )


def succeeded(count: int) -> ReportSource:
    """`count` transfers, carried out at the first delivery."""
    return ReportSource(
        replace(RUN, outcome="ok", exit_code=0),
        lambda: (transfer(number, succeed=True) for number in range(count)),
        figures(),
        audit=audit,
    )


def bulk(count: int) -> ReportSource:
    """Return `count` transfers, carried out, that are quick to make and as long as real ones."""
    model = transfer(1)

    def transfers() -> Iterator[TransferRecord]:
        for number in range(count):
            identifier, message_id = f"{number:036d}", f"{number:036x}"
            yield TransferRecord(
                key=identifier,
                source=f"billing.csv:{number}",
                interaction_id=identifier,
                destination_uri=model.destination_uri,
                wave=None,
                outcome=Outcome.TRANSFERRED,
                reason=None,
                reason_code=None,
                message_id=message_id,
                media_requested=OPUS,
                media_negotiated=OPUS,
                latency_ms=20.0 + number % 1000 / 7,
                attempts=(model.attempts[0]._replace(message_id=message_id),),
                callbacks=model.callbacks,
            )

    return ReportSource(replace(RUN, outcome="ok", exit_code=0), transfers, figures(), audit=audit)


def empty() -> ReportSource:
    """Return a manifest without transfers."""
    return ReportSource(
        replace(RUN, outcome="ok", exit_code=0), lambda: iter(()), audit=lambda: audit(0)
    )


_FORESEEN: tuple[tuple[Outcome, str, str, str | None], ...] = (
    (Outcome.UNATTEMPTED, "planned: would be sent", "planned", None),
    (Outcome.UNATTEMPTED, "planned: would be sent", "planned", None),
    (
        Outcome.UNCHANGED,
        "transferred by run 20261130T210000Z-11aa",
        "transferred_before",
        None,
    ),
    (
        Outcome.UNATTEMPTED,
        "planned: would be sent (changed: carried to another destination before)",
        "planned_changed",
        "genesys://queue/billing-old",
    ),
    (Outcome.UNATTEMPTED, "not selected", "not_selected", None),
    (
        Outcome.UNATTEMPTED,
        "would be rejected: interaction not found",
        "interaction_missing",
        None,
    ),
)


def planned(count: int = 12) -> ReportSource:
    """Return a dry run."""

    def foreseen(number: int) -> TransferRecord:
        outcome, reason, code, origin = _FORESEEN[number % len(_FORESEEN)]
        return transfer(number)._replace(
            outcome=outcome,
            reason=reason,
            reason_code=code,
            attempts=(),
            callbacks=(),
            message_id=None,
            latency_ms=None,
            media_negotiated=None,
            origin_uri=origin,
        )

    sixth = count // 6
    return ReportSource(
        replace(RUN, id="9c1e", outcome="planned", exit_code=0, finished_at=None),
        lambda: map(foreseen, range(count)),
        plan=PlanFigures(3 * sixth, sixth, sixth, 0, 3 * sixth / 25),
        manifest=MANIFEST,
    )


HOSTILE = (
    "<script>document.title='owned'</script>",
    "</script><img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">",
    "'\"><svg onload=document.title='owned'>",
    "javascript:document.title='owned'",
    "{{ 7*7 }} {% raw %} <!--",
    "مرحبا بكم في قائمة الفواتير",
    "עברית \u200f(123)",
    '=HYPERLINK("http://evil.example")',
    "a\x00b\x1b[31mc\x0bd￾e",
    "lone \ud800 surrogate",
    "W" * 600,
    "line\nbreak\u2028and\u2029more",
)


def hostile() -> ReportSource:
    """Texts from outside, everywhere a text can stand, each a trap for some format."""
    run = replace(
        RUN,
        outcome="failures",
        exit_code=1,
        environment=HOSTILE[0],
        gateway=HOSTILE[1],
        host=HOSTILE[2],
        user=HOSTILE[5],
        labels={HOSTILE[0]: HOSTILE[1], "link": HOSTILE[3]},
        options={HOSTILE[2]: HOSTILE[1]},
        manifest_path=f"m/{HOSTILE[0]}.yaml",
        explanation=HOSTILE[1],
    )
    closes = tuple(SessionClose(stamp(1), 1011, text) for text in HOSTILE)
    rows = tuple(_hostile_transfer(number, text) for number, text in enumerate(HOSTILE))
    return ReportSource(
        run, lambda: iter(rows), replace(figures(), session_closes=closes), audit=audit
    )


def _hostile_transfer(number: int, text: str) -> TransferRecord:
    return transfer(3)._replace(
        key=text,
        interaction_id=f"id {number} {text}",
        destination_uri=text,
        reason=text,
        source=f"{text}:3",
        media_requested={"audio": text},
        media_negotiated={text: float("nan"), "deep": _deep(text)},
        attempts=(attempt(number, 1, status=text, reason=text),),
        callbacks=(CallbackRecord(text, text, "rejected", "failed", 1, text),),
    )


def _deep(text: str) -> dict[str, Any]:
    value: dict[str, Any] = {text: text}
    for _ in range(100):
        value = {"in": value}
    return value
