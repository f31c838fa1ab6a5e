"""report.json: the whole report as one JSON object, written transfer by transfer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

import orjson

from runner.core.records.run_record import (
    IDENTITY,
    AttemptRecord,
    Figures,
    RunRecord,
    TransferGroup,
    TransferRecord,
)
from runner.core.records.summary import rounded
from runner.core.timestamps import timestamp
from runner.report.model import MOST_PLANNED, Content, coarsened
from runner.report.verdict import verdict_of

VERSION = 1

BEGINNING = re.compile(r'\{\n"version": \d+,\n"run": \{\n  "id": "')
"""How each such file begins."""

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
    if (progress := source.progress()) is not None:
        write(f'"progress": {_block(asdict(progress))},\n')
    if source.undelivered:
        write(f'"undelivered": {_block([each._asdict() for each in source.undelivered])},\n')
    if source.decisions:
        write(f'"decisions": {_block([asdict(each) for each in source.decisions])},\n')
    if source.gates:
        write(f'"gates": {_block([asdict(each) for each in source.gates])},\n')
    if source.figures.destinations:
        write(f'"destinations": {_line([asdict(one) for one in source.figures.destinations])},\n')
    steps = [step.to_json() for step in verdict_of(content).steps]
    write(f'"next_steps": {_block(steps)},\n')
    if content.omitted:
        write(f'"transfers_omitted": {content.omitted},\n')
    write('"transfers": [')
    most = MOST_PLANNED if content.omitted else None
    if source.groups is not None:
        _write_groups(_first(source.groups(), most), write)
    else:
        _write_transfers(islice(source.transfers(), most), write)
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
    separator, media, given, requested, negotiated = "\n", None, None, None, None
    for transfer in transfers:
        if transfer.media_requested is not media:  # neighbours mostly share one
            media = transfer.media_requested
            requested = plain(media)
        if transfer.media_negotiated is not given:
            given = transfer.media_negotiated
            negotiated = plain(given)
        write(separator + _encoded(transfer_json(transfer, requested, negotiated)))
        separator = ",\n"
    write("\n")


def _write_groups(groups: Iterable[TransferGroup], write: Callable[[str], object]) -> None:
    separator = "\n"
    for record, identities in groups:
        wire = transfer_json(record, plain(record.media_requested), None)
        shared = _encoded({name: wire[name] for name in wire if name not in IDENTITY})
        line = f"{{{_IDENTITY},{shared[1:].replace('%', '%%')}"
        rows: Iterable[tuple[str, ...]] = identities
        if not _need_no_escapes("".join(chain.from_iterable(identities))):
            rows = [tuple(_encoded(text)[1:-1] for text in each) for each in identities]
        write(separator + ",\n".join([line % each for each in rows]))
        separator = ",\n"
    write("\n")


def _first(groups: Iterable[TransferGroup], most: int | None) -> Iterator[TransferGroup]:
    """Yield groups up to `most` rows; None: all."""
    left = most
    for record, identities in groups:
        if left is None:
            yield TransferGroup(record, identities)
        elif left:
            listed = identities[:left]
            left -= len(listed)
            yield TransferGroup(record, listed)
        else:
            return


def _need_no_escapes(text: str) -> bool:
    """Return whether JSON surely spells a text as it is, between quotes."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _encoded(wire: dict[str, Any] | str) -> str:
    try:
        return orjson.dumps(wire).decode()
    except TypeError:  # half a character, or a number beyond 64 bits, in what a gateway said
        return _line(wire)


def run_json(run: RunRecord) -> dict[str, Any]:
    """Return the report's `run`; those that may be missing only where there are any."""
    wire = {
        "id": run.id,
        "batch": run.batch,
        "environment": run.environment,
        "driver": run.driver,
        "gateway": run.gateway,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_s": run.duration_s,
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
    if run.reverts is not None:
        wire["reverts"] = run.reverts
    if run.description is not None:
        wire["description"] = run.description
    if run.caveats:
        wire["caveats"] = list(run.caveats)
    if run.approvals:
        wire["approvals"] = [asdict(each) for each in run.approvals]
    if run.notifications is not None:
        wire["notifications"] = asdict(run.notifications)
    if run.place_names:
        wire["place_names"] = dict(run.place_names)
    if run.windows is not None:
        wire["windows"] = asdict(run.windows)
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


def transfer_json(transfer: TransferRecord, requested: Any, negotiated: Any) -> dict[str, Any]:
    """Return one of the report's `transfers`; its media are given as JSON.

    The fields are those of the record: one that is added there is in report.json without a change
    here, unless it needs a form of its own.
    """
    wire = transfer._asdict()
    del wire["origin_uri"]  # the plan's page alone has it
    wire["media_requested"] = requested
    wire["media_negotiated"] = negotiated
    wire["latency_ms"] = rounded(transfer.latency_ms)
    wire["attempts"] = [_attempt_json(attempt) for attempt in transfer.attempts]
    wire["callbacks"] = [callback._asdict() for callback in transfer.callbacks]
    if transfer.earlier is None:
        del wire["earlier"]
    else:
        wire["earlier"] = transfer.earlier._asdict()
    if transfer.before is None:
        del wire["before"]
    return wire


def _attempt_json(attempt: AttemptRecord) -> dict[str, Any]:
    wire = attempt._asdict()
    del wire["media_index"]
    wire["sent_at"] = timestamp(attempt.sent_at)
    if attempt.settled_at is not None:
        wire["settled_at"] = timestamp(attempt.settled_at)
    wire["latency_ms"] = rounded(attempt.latency_ms)
    if attempt.correlation_id is None:
        del wire["correlation_id"]
    return wire


assert TransferRecord._fields[: len(IDENTITY)] == IDENTITY  # noqa: S101 - a line begins with them
_IDENTITY = ",".join(f'"{name}":"%s"' for name in IDENTITY)


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` as JSON can hold it: NaN and foreign types as text, deep nesting cut off.

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
