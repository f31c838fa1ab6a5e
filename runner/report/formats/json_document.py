"""report.json: the whole report as one JSON object, written transfer by transfer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from runner.core.records.run_record import (
    AttemptRecord,
    CallbackRecord,
    Figures,
    RunRecord,
    TransferRecord,
)
from runner.core.records.summary import rounded
from runner.report.html.verdict import judge
from runner.report.model import Content, coarsened

VERSION = 1

_DEPTH_LIMIT = 32

CONTROLS = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_line = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_block = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2).encode


def render_json(content: Content, put: Callable[[str], object]) -> None:
    """Write report.json (schema `report.v1`): one line a transfer, so that `grep` finds it."""

    def write(text: str) -> None:
        put(in_visible_json(text))

    source = content.source
    write(f'{{\n"version": {VERSION},\n"run": {_block(run_json(source.run))},\n')
    write(f'"summary": {_block(content.summary.to_json())},\n')
    write(f'"session": {_block(session_json(source.figures))},\n')
    write(f'"timeline": {_line(timeline_json(source.figures))},\n')
    if (plan := source.plan) is not None:
        figures = {**asdict(plan), "estimate_s": rounded(plan.estimate_s)}
        write(f'"plan": {_block(figures)},\n')
    steps = [step.to_json() for step in judge(content).steps]
    write(f'"next_steps": {_block(steps)},\n')
    write('"transfers": [')
    _write_transfers(source.transfers(), write)
    end = {"entries": content.audit.entries, "head": content.audit.head}
    write(f'],\n"audit": {_line(end)}\n}}\n')


def in_visible_json(text: str) -> str:
    """Return a JSON text with control and bidirectional characters beyond ASCII escaped.

    JSON lets them stand in strings; a terminal that shows the text obeys them.
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _write_transfers(transfers: Iterable[TransferRecord], write: Callable[[str], object]) -> None:
    separator, media, requested = "\n", None, None
    for transfer in transfers:
        if transfer.media_requested is not media:  # neighbours mostly share one
            media = transfer.media_requested
            requested = plain(media)
        write(separator + _encoded(_transfer_json(transfer, requested)))
        separator = ",\n"
    write("\n")


def _encoded(wire: dict[str, Any]) -> str:
    try:
        return orjson.dumps(wire).decode()
    except TypeError:  # half a character, or a number beyond 64 bits, in what a gateway said
        return _line(wire)


def run_json(run: RunRecord) -> dict[str, Any]:
    """Return the report's `run`; `waves` and `explanation` only where there are any."""
    wire = {
        "id": run.id,
        "batch": run.batch,
        "environment": run.environment,
        "driver": run.driver,
        "gateway": run.gateway,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "outcome": run.outcome,
        "exit_code": None if run.exit_code is None else int(run.exit_code),
        "runner_version": run.runner_version,
        "host": run.host,
        "user": run.user,
        "labels": plain(run.labels),
        "manifest": {"path": run.manifest_path, "sha256": run.manifest_sha256},
        "options": plain(run.options),
    }
    if run.waves:
        wire["waves"] = list(run.waves)
    return wire if run.explanation is None else wire | {"explanation": run.explanation}


def session_json(figures: Figures) -> dict[str, Any]:
    """Return the report's `session`."""
    return {
        "opened": figures.sessions_opened,
        "closes": [
            {"at": close.at, "code": close.code, "reason": close.reason}
            for close in figures.session_closes
        ],
        "tls": figures.tls,
        "token_renewals": figures.token_renewals,
    }


def timeline_json(figures: Figures) -> dict[str, Any]:
    """Return the report's `timeline`, at most 600 points."""
    bin_s, points = coarsened(figures.timeline, figures.timeline_bin_s)
    return {
        "bin_s": rounded(bin_s),
        "points": [
            {
                "t_s": rounded(point.t_s),
                "sent": point.sent,
                "settled": point.settled,
                "in_flight": point.in_flight,
                "rate_per_s": rounded(point.rate_per_s),
            }
            for point in points
        ],
    }


def _transfer_json(transfer: TransferRecord, requested: Any) -> dict[str, Any]:
    told = {
        "key": transfer.key,
        "source": transfer.source,
        "interaction_id": transfer.interaction_id,
        "destination_uri": transfer.destination_uri,
        "wave": transfer.wave,
        "outcome": transfer.outcome.value,
        "reason": transfer.reason,
        "reason_code": transfer.reason_code,
        "message_id": transfer.message_id,
        "media_requested": requested,
        "media_negotiated": plain(transfer.media_negotiated),
        "latency_ms": rounded(transfer.latency_ms),
        "attempts": [_attempt_json(attempt) for attempt in transfer.attempts],
        "callbacks": [_callback_json(callback) for callback in transfer.callbacks],
    }
    if transfer.earlier is not None:
        told["earlier"] = transfer.earlier._asdict()
    if transfer.before is not None:
        told["before"] = transfer.before
    return told


def _attempt_json(attempt: AttemptRecord) -> dict[str, Any]:
    told = {
        "n": attempt.n,
        "message_id": attempt.message_id,
        "sent_at": attempt.sent_at,
        "settled_at": attempt.settled_at,
        "latency_ms": rounded(attempt.latency_ms),
        "status": attempt.status,
        "reason": attempt.reason,
    }
    named = attempt.correlation_id
    return told if named is None else told | {"correlation_id": named}


def _callback_json(callback: CallbackRecord) -> dict[str, Any]:
    return {
        "name": callback.name,
        "webhook_id": callback.webhook_id,
        "outcome": callback.outcome,
        "state": callback.state,
        "attempts": callback.attempts,
        "reason": callback.reason,
    }


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` as JSON can hold it: NaN and what is no JSON as text, the abyss cut off.

    A negotiated media matrix is the gateway's text: it may hold anything that a lenient JSON
    reader lets through.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= _DEPTH_LIMIT:
        return "…"
    if isinstance(value, Mapping):
        return {str(name): plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner, depth + 1) for inner in value]
    return str(value)
