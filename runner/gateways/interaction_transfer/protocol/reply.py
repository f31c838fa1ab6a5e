"""Reads replies (protocol.md, "Reply")."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.core.lenient_json import decode_json_fast
from runner.core.records.audit_chain import canonical, is_finite_json
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.message import (
    NOTE_LIMIT,
    SERVER_TEXT_LIMIT,
    Classify,
    GatewayNote,
    Reply,
    harmless,
    map_texts,
)
from runner.core.transfer.states import classify

MEDIA_LIMIT = 4096
"""Characters of JSON beyond which a reply's media are not kept."""


def read_reply(
    frame: str | bytes,
    hide: Callable[[str], str] | None = None,
    meaning: Classify = classify,
) -> Reply | GatewayNote:
    """Read one frame of the gateway; a frame that is not a reply becomes a note, never an error.

    `hide` removes our secrets from its unescaped texts. `meaning` knows the gateway's own statuses
    beside those of the protocol.
    """
    if isinstance(frame, bytes):
        return GatewayNote("a binary frame", harmless(repr(frame[:NOTE_LIMIT])))
    try:
        body, contradictions, _ = decode_json_fast(frame, _DECISIVE)
        if hide is not None and (clean := map_texts(body, hide)) != body:
            body, frame = clean, json.dumps(clean)
    except (ValueError, RecursionError):
        return GatewayNote("not JSON", harmless(frame))
    if not isinstance(body, dict):
        return GatewayNote("not a JSON object", harmless(frame))
    flaw = (_contradiction(contradictions, hide) if contradictions else None) or _misfit(body)
    if flaw:
        body = {"id": body.get("id"), "reason": flaw}
    message_id, status, reason = body.get("id"), body.get("status"), body.get("reason")
    if not isinstance(message_id, str) or "id" in contradictions:
        return GatewayNote("two ids" if "id" in contradictions else "no id", harmless(frame))
    status = None if status is None else harmless(status, SERVER_TEXT_LIMIT)
    code = _whole(body.get("code"))
    if status is None and code is None and flaw is None:
        return GatewayNote("neither status nor code", harmless(frame))
    return Reply(
        harmless(canonical_interaction(message_id)),  # ours are harmless as they are
        status,
        code,
        harmless(reason, SERVER_TEXT_LIMIT) if isinstance(reason, str) else None,
        _retry_after(body.get("retry_after")),
        _storable(body.get("media_matrix")),
        event=meaning(status, code),
    )


_DECISIVE = ("id", "status", "code")
"""Keys that say which delivery a reply is about, and how it ended."""


def _contradiction(
    contradictions: Mapping[str, Sequence[Any]], hide: Callable[[str], str] | None
) -> str | None:
    """Return how a reply contradicts itself about its delivery, in words; None if it does not."""
    for key in _DECISIVE:
        if key in contradictions:
            values = (v if isinstance(v, str) else _spelt(v) for v in contradictions[key])
            said = " and ".join(harmless(v if hide is None else hide(v), 100) for v in values)
            return harmless(f"the reply contradicts itself: `{key}` is {said}", SERVER_TEXT_LIMIT)
    return None


def _misfit(body: Mapping[str, Any]) -> str | None:
    """Return why neither status nor code says what happened, though one is there; None: one does.

    Null is absent. A status that is not a text must not count as absent: the code beside it may mean
    something else. A code that is no number, beside a status, contradicts nothing.
    """
    status, code = body.get("status"), body.get("code")
    if status is not None and not isinstance(status, str):
        return _unreadable("status", status, "a text")
    if status is None and code is not None and _whole(code) is None:
        return _unreadable("code", code, "a whole number")
    return None


def _unreadable(key: str, value: object, wanted: str) -> str:
    return f"the reply cannot be read: `{key}` is {harmless(_spelt(value), 100)}, not {wanted}"


def _spelt(value: object) -> str:
    """Return a value as JSON, without what is nested too deeply: spelling it out would fail."""
    return json.dumps(map_texts(value, str), ensure_ascii=False)


_DIGITS = re.compile(r"[0-9]{1,9}")


def _whole(code: object) -> int | None:
    """Return a whole number, written as 429, 429.0 or "429"; None for anything else."""
    if isinstance(code, str):
        return int(code) if _DIGITS.fullmatch(code) else None
    if isinstance(code, float) and code.is_integer():
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _storable(media: object) -> Mapping[str, Any] | None:
    """Return media that the journal can hold, else None: odd media must not cost the reply."""
    if not isinstance(media, dict):
        return None
    if is_finite_json(media) and _is_plain(canonical(media)):
        return media  # as almost all are
    kept: Mapping[str, Any] = map_texts(media, _kept)
    return kept if is_finite_json(kept) and len(canonical(kept)) <= MEDIA_LIMIT else None


def _is_plain(text: str) -> bool:
    """Return whether a JSON text is short and needs no escape."""
    return len(text) <= SERVER_TEXT_LIMIT and "\\" not in text and text.isprintable()


def _kept(text: str) -> str:
    return harmless(text, SERVER_TEXT_LIMIT)


def _retry_after(seconds: object) -> float | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if isinstance(seconds, float) and not math.isfinite(seconds):
        return None
    # A whole number may have more digits than a float can hold.
    return float(min(seconds, sys.float_info.max)) if seconds >= 0 else None
