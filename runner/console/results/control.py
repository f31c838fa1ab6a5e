"""Shows the answer of a running batch to a command, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.console.terminal_text import Paint, visible
from runner.core.number_text import figure
from runner.core.transfer.outcome import outcome_words
from runner.ports.control import ControlAnswer


def render_control(value: tuple[str, ControlAnswer], *, color: bool) -> str:
    """Return the answer as text; for `show`, the run's state."""
    run, answer = value
    paint = Paint(color)
    if answer.text:
        mark = paint.green("done") if answer.is_done else paint.red("refused")
        return f"{visible(run)}: {mark}: {visible(answer.text)}\n"
    return "".join(f"{line}\n" for line in _state(run, answer.state))


def control_to_json(value: tuple[str, ControlAnswer]) -> str:
    """Return the answer as a line of JSON."""
    run, answer = value
    wire = {"run": run, "done": answer.is_done, "text": answer.text, "state": answer.state}
    return json.dumps(wire) + "\n"


def _state(run: str, state: Mapping[str, Any]) -> Iterator[str]:
    yield f"run {visible(run)}" + (
        f", {visible(str(state['stage']))}" if state.get("stage") else ""
    )
    settled, total = state.get("settled", 0), state.get("total", 0)
    yield f"  settled      {settled:,} of {total:,}; in flight {state.get('under_way', 0):,}"
    outcomes = state.get("outcomes") or {}
    if outcomes:
        shown = ", ".join(f"{outcome_words(name)} {n:,}" for name, n in outcomes.items())
        yield f"  outcomes     {visible(shown)}"
    yield f"  rate         {figure(state.get('sent_per_s'))}/s in the last second"
    limits = state.get("limits") or {}
    named = [f"{name} {value}" for name, value in limits.items() if value is not None]
    yield f"  limits       {visible(', '.join(named))}"
    for name in ("session", "waiting_for", "confirmation", "stopping"):
        if state.get(name):
            yield f"  {name.replace('_', ' '):<12} {visible(str(state[name]))}"
    yield from _commands(state.get("commands") or ())


def _commands(commands: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for number, each in enumerate(commands):
        why = "" if each.get("why") is None else f" ({each['why']})"
        head = "  commands     " if number == 0 else " " * 15
        yield head + visible(f"{each['at']} {each['who']}: {each['what']}{why}")
