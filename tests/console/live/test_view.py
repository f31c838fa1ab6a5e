"""The live view, to the letter: what it shows of a run in so many columns and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len

from runner.console.live.view import Line, Style, View, Warned, lines
from runner.core.records.latency import RecentLatency
from runner.core.records.recent_failures import RecentFailure
from runner.ports import Progress, SessionState

AT = 1_800_000_000.0  # 08:00:00 UTC


def view(progress: dict[str, Any] | None = None, **changes: Any) -> View:
    fields: dict[str, Any] = {
        "total": 1206,
        "settled": 603,
        "outcomes": {"transferred": 590, "rejected": 10, "in_doubt": 3},
        "in_flight": 8,
        "sent": 611,
        "rate_per_s": 25.0,
        "limit_per_s": 25.0,
        "sent_per_s": 24.8,
        "session": SessionState.OPEN,
        "latency_ms": RecentLatency(41.2, 180.9),
        "callbacks_owed": 12,
        **(progress or {}),
    }
    of_view: dict[str, Any] = {"at": AT, "title": "run R1", "elapsed_s": 25.0, "left_s": 153.0}
    return View(Progress(**fields), **(of_view | changes))


def texts(shown: Sequence[Line]) -> list[str]:
    return ["".join(part.text for part in line) for line in shown]


def test_eighty_columns_show_it_all():
    recent_failures = [
        RecentFailure(AT - 9, "rejected", f"k{n}", "destination_unreachable") for n in range(5)
    ] + [RecentFailure(AT - 3, "in_doubt", "k9", "session lost")]
    shown = view(
        {"recent_failures": recent_failures}, warnings=[Warned(AT - 5, "session lost code=1006")]
    )

    assert texts(lines(shown, 79, 22)) == [
        "run R1",
        "━" * 32 + "─" * 33 + " 603/1,206 50%",
        "24.8/s of 25/s  25 s so far  about 2 min 33 s left, till 08:02Z",
        "latency p50 41 ms, p99 181 ms",
        "session open  in flight 8  12 callbacks owed",
        "transferred 590  rejected 10  in doubt 3",
        "07:59:57Z in doubt k9: session lost",
        "07:59:55Z session lost code=1006",
        "07:59:51Z rejected k4, k3, k2, …: destination_unreachable",
    ]


def test_forty_columns_show_the_same_on_more_lines():
    assert texts(lines(view(), 39, 22)) == [
        "run R1",
        "━" * 12 + "─" * 13 + " 603/1,206 50%",
        "24.8/s of 25/s  25 s so far",
        "about 2 min 33 s left, till 08:02Z",
        "latency p50 41 ms, p99 181 ms",
        "session open  in flight 8",
        "12 callbacks owed",
        "transferred 590  rejected 10",
        "in doubt 3",
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, ["603/1,206"]),
        (2, ["603/1,206", "session open"]),
        (3, ["603/1,206", "session open", "transferred 590"]),
        (5, ["603/1,206", "24.8/s", "latency", "session open", "transferred 590"]),
        (6, ["603/1,206", "24.8/s", "latency", "session open", "transferred 590", "08:00:03Z"]),
        (8, ["603/1,206", "24.8/s", "latency", "session open", "transferred 590", "08:00:03Z",
             "08:00:02Z", "08:00:01Z"]),
        (9, ["run R1", "603/1,206", "24.8/s", "latency", "session open", "transferred 590",
             "08:00:03Z", "08:00:02Z", "08:00:01Z"]),
    ],
)  # fmt: skip
def test_in_a_low_window_what_matters_most_stays(rows: int, expected: list[str]):
    shown = texts(lines(view(warnings=[Warned(AT + n, "odd") for n in (1, 2, 3)]), 79, rows))

    assert len(shown) == len(expected) <= rows
    assert all(mark in line for mark, line in zip(expected, shown, strict=True))


@pytest.mark.parametrize("columns", [*range(1, 20), 39, 79, 200])
@pytest.mark.parametrize("rows", [1, 4, 8, 50])
def test_no_line_is_wider_and_no_view_higher_than_the_window(columns: int, rows: int):
    wide = RecentFailure(AT, "failed", "座席番号" * 20, "見つかりません" * 20)
    hostile = "\x1b[2J\r\n\x9b31m\u202e[bold]x[/bold]\x07" * 9
    shown = view(
        {
            "outcomes": {hostile: 3, "rejected": 10**9},
            "waiting_for": hostile,
            "recent_failures": [wide, RecentFailure(AT, "rejected", hostile, hostile)],
        },
        title=hostile,
        warnings=[Warned(AT, hostile)],
    )
    drawn = texts(lines(shown, columns, rows))

    assert 1 <= len(drawn) <= rows
    assert max(map(cell_len, drawn)) <= columns
    assert all(line.isprintable() for line in drawn)


def test_markup_is_text():
    shown = view({"recent_failures": [RecentFailure(AT, "failed", "k", "[red]no[/red] :smile:")]})

    assert "08:00:00Z failed k: [red]no[/red] :smile:" in texts(lines(shown, 79, 22))


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({"sent_per_s": 12.0, "rate_per_s": 12.5}, "12/s of 25/s, slowed down to 12.5/s"),
        ({"sent_per_s": 30.0, "burst": 5}, "30/s of 25/s + 5 burst"),
        ({"sent_per_s": 312.3, "rate_per_s": None, "limit_per_s": None}, "312.3/s"),
        ({"sent_per_s": None}, "at most 25/s"),
        ({"sent_per_s": None, "rate_per_s": None}, "rate unlimited"),
    ],
)
def test_the_present_rate_is_shown_with_its_limit(progress: dict[str, Any], expected: str):
    [line] = [t for t in texts(lines(view(progress), 120, 22)) if "so far" in t]

    assert line.split("  ")[0] == expected


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({"session": SessionState.DIALLING, "waiting_for": "the session"}, "session: dialling"),
        (
            {"session": SessionState.LOST, "waiting_for": "the session"},
            "session lost, dialling again",
        ),
        (
            {"waiting_for": "12 s more (Retry-After)"},
            "session open  waiting for 12 s more (Retry-After)",
        ),
        ({"session": SessionState.CLOSED}, "session closed"),
        (
            {"is_stopping": True},
            "stopping: what is in flight settles  session open",
        ),
        ({"stage": "wave 2 of 5"}, "wave 2 of 5  session open"),
        ({"session": None, "waiting_for": "look-ups"}, "waiting for look-ups"),
    ],
)
def test_what_the_run_waits_for_is_shown(progress: dict[str, Any], expected: str):
    shown = view({"callbacks_owed": 0, **progress})

    assert f"{expected}  in flight 8" in texts(lines(shown, 120, 22))


@pytest.mark.parametrize("session", [SessionState.OPEN, SessionState.LOST])
def test_the_command_that_ends_a_hold_can_be_copied_from_any_window(session: SessionState):
    command = "runner control resume --journal /srv/transfers/.runner/production.db"
    held = view({"waiting_for": "a resume", "command": command, "session": session})
    wide, narrow = texts(lines(held, 120, 22)), texts(lines(held, 60, 22))
    assert f"go on by: {command}" in wide
    assert any("waiting for a resume" in line for line in wide)
    at = narrow.index("go on by: runner control resume \\")
    assert narrow[at + 1] == " --journal /srv/transfers/.runner/production.db"
    assert "go on by: runner control resume \\" in texts(lines(held, 60, 3))


def test_what_went_wrong_is_loud():
    shown = lines(view({"session": SessionState.LOST}), 79, 22)
    tones = {part.text: part.tone for line in shown for part in line}

    assert tones["session lost, dialling again"] is Style.BAD
    assert tones["in doubt 3"] is Style.WARN
    assert tones["rejected 10"] is Style.BAD
    assert tones["transferred 590"] is Style.GOOD


def test_secrets_are_taken_out():
    warned = [Warned(AT, "failed https://user:pw@h/x?token=abcdefgh Bearer abcdefgh")]
    shown = "\n".join(texts(lines(view(warnings=warned), 120, 22)))

    assert "pw" not in shown
    assert "abcdefgh" not in shown


def test_an_empty_plan_is_full_and_nothing_is_left_of_a_done_one():
    shown = texts(lines(view({"total": 0, "settled": 0}), 79, 22))
    assert shown[1] == "━" * 70 + " 0/0 100%"
    done = replace(view({"settled": 1206}), left_s=0.0)
    assert "left" not in " ".join(texts(lines(done, 79, 22)))
