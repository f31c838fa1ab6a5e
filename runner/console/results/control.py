"""Shows the answer of a running batch to a command, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.frozen import frozen
from runner.core.number_text import figure
from runner.core.transfer.outcome import outcome_words


@frozen
class RunAnswer:
    """What one run answered; `state` is empty where it could not be asked."""

    run: str
    journal: str
    is_done: bool
    text: str
    state: Mapping[str, Any]


def render_control(answers: Sequence[RunAnswer], *, color: bool) -> str:
    """Return the answers as text; for `show`, the run's state."""
    paint = Paint(color)
    lines: list[str] = []
    for each in answers:
        if each.text:
            mark = paint.green("done") if each.is_done else paint.red("refused")
            lines.append(f"{visible(each.run)}: {mark}: {visible(each.text)}")
        else:
            lines.extend(_state(each.run, each.state))
    return "".join(f"{line}\n" for line in lines)


def control_to_json(answers: Sequence[RunAnswer]) -> str:
    """Return the answers as a document."""
    return document(
        "control",
        {
            "answers": [
                {
                    "run": each.run,
                    "journal": each.journal,
                    "done": each.is_done,
                    "text": each.text,
                    "state": each.state or None,
                }
                for each in answers
            ]
        },
    )


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
    for name in ("session", "waiting_for", "paced_by", "confirmation", "stopping", "command"):
        if state.get(name):
            title = _TITLES.get(name, name)
            yield f"  {title:<12} {visible(str(state[name]))}"
    yield from _commands(state.get("commands") or ())


_TITLES = {"waiting_for": "waiting for", "paced_by": "paced by", "command": "go on by"}


def _commands(commands: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for number, each in enumerate(commands):
        why = "" if each.get("why") is None else f" ({each['why']})"
        head = "  commands     " if number == 0 else " " * 15
        yield head + visible(f"{each['at']} {each['who']}: {each['what']}{why}")
