"""What a run measured and left beside its transfers: figures, story, manifest, audit chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.run_record import (
    AuditEntry,
    Figures,
    SessionClose,
    TimelineEvent,
    TimelineEventKind,
    TimelinePoint,
)

START = datetime(2026, 12, 1, 21, 0, 0, tzinfo=UTC)


def stamp(offset_s: float) -> str:
    return (START + timedelta(seconds=offset_s)).isoformat(timespec="microseconds")[:-6] + "Z"


def at_s(offset_s: float) -> float:
    """Return a time as seconds since the epoch."""
    return START.timestamp() + offset_s


def audit(count: int = 5, previous: str = "0" * 64, first: int = 1) -> Iterator[AuditEntry]:
    for seq in range(first, first + count):
        body = json.dumps({"seq": seq, "event": "sending"}, separators=(",", ":"))
        previous = hashlib.sha256((previous + body).encode()).hexdigest()
        yield AuditEntry(seq, body, previous)


def happened(t_s: float, turn: TimelineEventKind, **details: Any) -> TimelineEvent:
    return TimelineEvent(t_s, stamp(t_s), turn.value, **details)


STORY = (
    happened(0.4, TimelineEventKind.OPENED, value=1),
    happened(6.0, TimelineEventKind.RENEWED, value=1),
    happened(17.0, TimelineEventKind.LOST, code=1012, reason="service restart"),
    happened(20.1, TimelineEventKind.OPENED, value=2),
    happened(20.4, TimelineEventKind.SLOWED, value=12.5, reason="rate_limited"),
    happened(20.4, TimelineEventKind.PAUSED, value=2.0, reason="retry_after"),
    happened(30.0, TimelineEventKind.RECOVERED, value=25.0),
    happened(41.0, TimelineEventKind.CLOSED, code=1000, reason="session terminated"),
)

MANIFEST = ManifestExcerpt(
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
