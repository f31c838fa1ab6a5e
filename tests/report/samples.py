"""Report sources to render: small and large, ordinary and hostile."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.core.excerpt import Excerpt
from runner.core.outcome import Outcome
from runner.core.record import (
    AttemptRecord,
    AuditEntry,
    CallbackRecord,
    Figures,
    Happening,
    PlanFigures,
    ReportSource,
    RunRecord,
    SessionClose,
    TimelinePoint,
    TransferRecord,
    Turn,
)

START = datetime(2026, 12, 1, 21, 0, 0, tzinfo=UTC)
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


def identity(*parts: object) -> str:
    """Return a UUID that depends on `parts` alone."""
    return str(uuid.UUID(bytes=hashlib.md5(repr(parts).encode()).digest(), version=4))


def stamp(offset_s: float) -> str:
    return (START + timedelta(seconds=offset_s)).isoformat(timespec="microseconds")[:-6] + "Z"


def attempt(number: int, n: int, **changes: Any) -> AttemptRecord:
    latency = 18.0 * (1 + (number * 7919 % 97) / 40) ** 3
    sent_s = number * 0.04 + n
    known = {
        "n": n,
        "message_id": identity("message", number, n),
        "sent_at": stamp(sent_s),
        "media_index": 0,
        "settled_at": stamp(sent_s + latency / 1000),
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
        outcome=outcome,
        reason=reason,
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


def audit(count: int = 5, previous: str = "0" * 64, first: int = 1) -> Iterator[AuditEntry]:
    for seq in range(first, first + count):
        body = json.dumps({"seq": seq, "event": "sending"}, separators=(",", ":"))
        previous = hashlib.sha256((previous + body).encode()).hexdigest()
        yield AuditEntry(seq, body, previous)


def happened(t_s: float, turn: Turn, **told: Any) -> Happening:
    return Happening(t_s, stamp(t_s), turn.value, **told)


STORY = (
    happened(0.4, Turn.OPENED, value=1),
    happened(6.0, Turn.RENEWED, value=1),
    happened(17.0, Turn.LOST, code=1012, reason="service restart"),
    happened(20.1, Turn.OPENED, value=2),
    happened(20.4, Turn.SLOWED, value=12.5, reason="rate_limited"),
    happened(20.4, Turn.PAUSED, value=2.0, reason="retry_after"),
    happened(30.0, Turn.RECOVERED, value=25.0),
    happened(41.0, Turn.CLOSED, code=1000, reason="session terminated"),
)

MANIFEST = Excerpt(
    tuple(
        """\
version: 1
name: billing-cutover
environment: production
environments:
  production:
    driver: interaction-websocket
    region: us
    credentials:
      client_id: {env: GENESYS_CLIENT_ID}
      client_secret: {file: /run/secrets/genesys_client_secret}
    gateway: edge-ams
    limits: {rate: 25/s, burst: 5}
transfers:
  - interaction_id: 3f2504e0-4f89-41d3-9a0c-0305e82c3301
    destination_uri: genesys://queue/billing-1
  - from: billing.csv  # <b>the rest</b>""".splitlines()
    ),
    16,
)


def figures(seconds: int = 41) -> Figures:
    return Figures(
        rate_limit_per_s=25.0,
        rate_achieved_per_s=22.3456,
        peak_in_any_second=26,
        throttled=3,
        sessions_opened=2,
        session_closes=(
            SessionClose(stamp(17), 1012, "service restart"),
            SessionClose(stamp(41), 1000, "session terminated"),
        ),
        tls="TLSv1.3",
        token_renewals=1,
        timeline=tuple(
            TimelinePoint(
                float(t),
                sent=0 if 17 <= t < 20 else 25 - t % 3 - (12 if 20 <= t < 30 else 0),
                settled=0 if 17 <= t < 20 else 24 - t % 4 - (12 if 20 <= t < 30 else 0),
                in_flight=(t * 5) % 23,
                rate_per_s=12.5 if 20 <= t < 30 else 25.0,
            )
            for t in range(seconds)
        ),
        story=STORY,
    )


def mixed(count: int = 60) -> ReportSource:
    """Every outcome in turn."""
    return ReportSource(
        RUN, lambda: map(transfer, range(count)), figures(), audit=audit, manifest=MANIFEST
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
                outcome=Outcome.TRANSFERRED,
                reason=None,
                message_id=message_id,
                media_requested=OPUS,
                media_negotiated=OPUS,
                latency_ms=20.0 + number % 1000 / 7,
                attempts=(replace(model.attempts[0], message_id=message_id),),
                callbacks=model.callbacks,
            )

    return ReportSource(replace(RUN, outcome="ok", exit_code=0), transfers, figures(), audit=audit)


def empty() -> ReportSource:
    """Return a manifest without transfers."""
    return ReportSource(
        replace(RUN, outcome="ok", exit_code=0), lambda: iter(()), audit=lambda: audit(0)
    )


def planned() -> ReportSource:
    """Return a dry run."""
    unsent = (
        replace(
            transfer(number),
            outcome=Outcome.UNATTEMPTED,
            reason="would be sent",
            attempts=(),
            callbacks=(),
            message_id=None,
            latency_ms=None,
            media_negotiated=None,
        )
        for number in range(12)
    )
    rows = tuple(unsent)
    return ReportSource(
        replace(RUN, id="9c1e", outcome="planned", exit_code=0, finished_at=None),
        lambda: iter(rows),
        plan=PlanFigures(send=12, unchanged=0, changed=2, in_doubt=0, estimate_s=0.48),
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
    return replace(
        transfer(3),
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
