"""Gates between waves: bounds, figures and verdicts (operations.md, "Between waves").

Only a bound that was evaluated can fail a gate; whatever could not be found out is inconclusive.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, field
from enum import StrEnum
from typing import Any

from runner.core.frozen import frozen
from runner.core.manifest.quantity import parse_duration
from runner.core.number_text import figure

DEFAULT_TIMEOUT_S = 10.0

LONGEST_RETRY_S = 30.0
"""The longest wait before an inconclusive gate is asked again."""

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_BOUND = re.compile(r"(<=|>=|==|!=|<|>) *([0-9]{1,12}(?:\.[0-9]{1,9})?(?:ms|s|m|h)?)")


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@frozen
class GateAnswer:
    """A gate's verdict and, in words, what it was judged by."""

    verdict: Verdict
    text: str


@frozen
class Bound:
    """A comparison of a figure with a number; durations are in seconds."""

    text: str
    compare: str
    number: float

    def holds(self, value: float) -> bool:
        """Return whether a figure is within the bound."""
        return _OPERATORS[self.compare](value, self.number)


def parse_bound(text: str) -> Bound:
    """Return a bound such as `< 50`, `>= 5` or `< 10m`; raises `ValueError` for any other text."""
    found = _BOUND.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a bound; write a comparison and a number or duration:"
            ' "< 50", ">= 5", "< 10m"'
        )
    written = found[2]
    number = float(written) if written[-1].isdigit() else parse_duration(written)
    return Bound(text, found[1], number)


@frozen
class Gate:
    """What all gates have. `every_s` None: it is not asked again once its wave has begun."""

    _: KW_ONLY
    name: str
    every_s: float | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S


@frozen
class UrlGate(Gate):
    """Asks an HTTP address. Values of `headers` may be secrets."""

    _: KW_ONLY
    url: str
    headers: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    bounds: Mapping[str, Bound] = field(default_factory=dict)  # by JSON pointer
    allow_private: bool = False


@frozen
class CommandGate(Gate):
    """Runs a program of the manifest's folder: 0 passes, 1 fails."""

    _: KW_ONLY
    command: tuple[str, ...]


@frozen
class QueueGate(Gate):
    """Asks the driver for figures of a queue (an id or a name)."""

    _: KW_ONLY
    queue: str
    bounds: Mapping[str, Bound]  # waiting, on_queue, estimated_wait
    source: str = ""  # "file:line"


@frozen
class WaveConditions:
    """What stands before a wave, in this order."""

    pause_s: float = 0.0
    gates: tuple[str, ...] = ()
    confirm: bool = False

    def __bool__(self) -> bool:
        return bool(self.pause_s or self.gates or self.confirm)

    def handed_over(self, to: WaveConditions) -> WaveConditions:
        """Return those of a later wave `to`, with these of a wave that turned out empty."""
        return WaveConditions(
            max(self.pause_s, to.pause_s),
            tuple(dict.fromkeys((*self.gates, *to.gates))),
            self.confirm or to.confirm,
        )


UNCONDITIONAL = WaveConditions()


def judge(figures: Mapping[str, float | None], bounds: Mapping[str, Bound]) -> GateAnswer:
    """Return the verdict on figures by name; a bound without a figure is inconclusive.

    A bound that does not hold fails, whatever other figures are missing.
    """
    missing = []
    held = []
    for name, bound in bounds.items():
        value = figures.get(name)
        if value is None or not math.isfinite(value):
            missing.append(name)
        elif not bound.holds(value):
            return GateAnswer(Verdict.FAIL, f"{name} is {figure(value)}, not {bound.text}")
        else:
            held.append(f"{name} is {figure(value)} ({bound.text})")
    if missing:
        return GateAnswer(Verdict.INCONCLUSIVE, f"no figure for {', '.join(missing)}")
    return GateAnswer(Verdict.PASS, ", ".join(held))


def judge_response(gate: UrlGate, status: int, body: bytes) -> GateAnswer:
    """Return the verdict on an HTTP response: only a figure out of its bound fails."""
    if status != gate.status:
        return GateAnswer(Verdict.INCONCLUSIVE, f"status {status} instead of {gate.status}")
    if not gate.bounds:
        return GateAnswer(Verdict.PASS, f"status {status}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return GateAnswer(Verdict.INCONCLUSIVE, "the answer is not JSON")
    return judge({pointer: _figure_at(document, pointer) for pointer in gate.bounds}, gate.bounds)


def judge_exit(code: int) -> GateAnswer:
    """Return the verdict on a command's exit code; negative: a signal."""
    verdicts = {0: Verdict.PASS, 1: Verdict.FAIL}
    return GateAnswer(verdicts.get(code, Verdict.INCONCLUSIVE), f"exit code {code}")


def parse_pointer(text: str) -> tuple[str, ...]:
    """Return the steps of a JSON pointer (RFC 6901); raises `ValueError` for any other text."""
    if not text.startswith("/") or re.search(r"~(?![01])", text):
        raise ValueError(f"{text!r} is not a JSON pointer; write for example /queue/depth")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))


def _figure_at(document: Any, pointer: str) -> float | None:
    """Return the number that a pointer leads to; None: there is no number."""
    for step in parse_pointer(pointer):
        document = _inner(document, step)
    if isinstance(document, bool) or not isinstance(document, int | float):
        return None
    try:
        return float(document)
    except OverflowError:
        return None


def _inner(document: Any, step: str) -> Any:
    if isinstance(document, Mapping):
        return document.get(step)
    is_index = step.isascii() and step.isdigit() and len(step) < 10  # noqa: PLR2004 - digits
    if isinstance(document, Sequence) and not isinstance(document, str) and is_index:
        return document[int(step)] if int(step) < len(document) else None
    return None


def next_retry_s(before_s: float) -> float:
    """Return the wait before an inconclusive gate is asked again, after one of `before_s`."""
    return min(LONGEST_RETRY_S, max(1.0, before_s * 2))
