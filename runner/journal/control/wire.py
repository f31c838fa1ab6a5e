"""Requests and answers as JSON lines."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from runner.ports.control import ControlAnswer, ControlRequest

LONGEST_LINE = 16 * 1024
"""Bytes of a request."""

LONGEST_ANSWER = 4 * 1024 * 1024

_LONGEST_ID = 100
_OPTIONAL = ("value", "for", "reason")


class Malformed(ValueError):
    """A line is not a request."""


def read_request(line: bytes) -> ControlRequest:
    """Return the request in a line. Raises `Malformed`."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise Malformed("the request is not a line of JSON") from None
    if not isinstance(found, dict):
        raise Malformed("the request is not a JSON object")
    id_, command = found.get("id"), found.get("command")
    if not (isinstance(id_, str) and _is_text(id_) and 0 < len(id_) <= _LONGEST_ID):
        raise Malformed(f"`id` must be a text of 1 to {_LONGEST_ID} characters")
    if not (isinstance(command, str) and _is_text(command)):
        raise Malformed("`command` must be a text")
    optional = [found.get(name) for name in _OPTIONAL]
    if any(value is not None and not _is_text(value) for value in optional):
        raise Malformed("`value`, `for` and `reason` must be texts")
    return ControlRequest(id_, command, *optional)


def request_line(request: ControlRequest) -> bytes:
    """Return a request as a line."""
    wire: dict[str, Any] = asdict(request)
    wire["for"] = wire.pop("for_")
    return _line({name: value for name, value in wire.items() if value is not None})


def answer_line(answer: ControlAnswer) -> bytes:
    """Return an answer as a line."""
    return _line({"done": answer.is_done, "text": answer.text, "state": answer.state})


def read_answer(line: bytes) -> ControlAnswer:
    """Return the answer in a line. Raises `Malformed`."""
    try:
        found = json.loads(line)
        return ControlAnswer(
            str(found["text"]), dict(found["state"]), is_done=found["done"] is True
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Malformed("the answer is not a line of JSON") from None


def _is_text(value: object) -> bool:
    """Return whether it is a text that every file takes."""
    return isinstance(value, str) and value.isprintable()


def _line(wire: dict[str, Any]) -> bytes:
    return json.dumps(wire, separators=(",", ":")).encode() + b"\n"
