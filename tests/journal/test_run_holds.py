"""What holds a run, as its events show it to another process."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.timestamps import timestamp
from runner.journal.run_holds import RunHolds
from runner.ports import Note

AT = 1_800_000_000.0
SINCE = f"{timestamp(AT)[11:16]}Z"


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {"event": name, "at": timestamp(AT), **fields}


def command(what: str, why: str | None = None) -> dict[str, Any]:
    return event(Note.CONTROL, who="anna", what=what, why=why)


def held(*events: dict[str, Any], after_s: float = 0.0) -> list[tuple[str, str | None]]:
    holds = RunHolds()
    for each in events:
        holds.take(each)
    return [(str(hold), hold.ends_by) for hold in holds.at(AT + after_s)]


PAUSED = command("pause", "the queue is full")
RESTORED = event(Note.PAUSE_RESTORED, who="anna", what="pause", why=None, since=timestamp(AT)) | {
    "at": timestamp(AT + 7200)
}
CONFIRM = event(Note.WAVE_HELD, wave=2, of=3, by="confirm")
PAUSE = event(Note.WAVE_HELD, wave=2, of=3, by="pause", seconds=300.0)
BEGUN = event(Note.WAVE_BEGUN, wave=2, of=3)
ASKED = event(Note.ASKED_TO_WAIT, wait_s=20.0, why="Retry-After")
GATE = event(Note.GATE, gate="crm", wave=2, verdict="inconclusive", text="time-out")
FULL = event(Note.DESTINATION_FULL, destination="queue Overflow", why="waiting is 9")


@pytest.mark.parametrize(
    ("begin", "words", "ends_by", "end"),
    [
        (PAUSED, f"is paused by anna since {SINCE}: the queue is full", "resume", command("resume")),
        (RESTORED, f"is paused by anna since {SINCE}", "resume", command("resume")),
        (command("pause --for 20m"), f"is paused by anna since {SINCE}", "resume", event(Note.PAUSE_ENDED)),
        (CONFIRM, "waits for the confirmation of wave 2 of 3", "continue", command("continue")),
        (CONFIRM, "waits for the confirmation of wave 2 of 3", "continue", BEGUN),
        (PAUSE, "waits for the pause of 5 min 00 s before wave 2 of 3", None, BEGUN),
        (GATE, "waits for gate crm (inconclusive: time-out)", None, GATE | {"verdict": "pass"}),
        (ASKED, "waits for 20 s more (Retry-After)", None, event(Note.GOING_ON)),
        (event(Note.CIRCUIT_OPEN), f"waits for {Note.CIRCUIT_OPEN}", None, event(Note.GOING_ON)),
        (FULL, "waits for room at queue Overflow (waiting is 9)", None,
         event(Note.DESTINATION_OPEN, destination="queue Overflow")),
        (FULL, "waits for room at queue Overflow (waiting is 9)", None,
         event(Note.DESTINATION_GIVEN_UP, destination="queue Overflow")),
    ],
)  # fmt: skip
def test_a_hold_is_named_until_it_ends(
    begin: dict[str, Any], words: str, ends_by: str | None, end: dict[str, Any]
):
    assert held(begin) == [(words, ends_by)]
    assert held(begin, end) == []


def test_what_ends_at_a_time_is_no_hold_after_it():
    assert held(PAUSE, ASKED, after_s=21) == [
        ("waits for the pause of 5 min 00 s before wave 2 of 3", None)
    ]
    assert held(PAUSE, after_s=301) == []


def test_what_a_person_ends_comes_first_and_hides_nothing():
    assert [ends_by for _, ends_by in held(FULL, CONFIRM, PAUSED)] == [
        *("resume", "continue", None)
    ]


def test_a_stop_is_all_that_is_left():
    assert held(PAUSED, FULL, command("stop", "wrong queue")) == [
        (f"is stopping, by anna since {SINCE}: wrong queue", None)
    ]


def test_other_events_and_other_decisions_hold_nothing():
    others = (event(Note.SESSION_OPENED), command("approved plan-1"), command("rate 5/s"))
    assert held(*others, command("decline")) == []
