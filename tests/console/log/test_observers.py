"""Who watches a run, and that none of them can hurt it."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest

from runner.console.live.observer import LiveObserver
from runner.console.live.observer_choice import choose_observers
from runner.console.live.progress_text import Throughput, progress_fields, progress_line
from runner.console.live.terminal_writer import TerminalWriter
from runner.console.log.observers import (
    LineObserver,
    LogObserver,
    Observers,
    progress_to_log,
    progress_to_stream,
)
from runner.console.log.setup import configure_logs
from runner.console.output_streams import LossyStream
from runner.core.records.latency import RecentLatency
from runner.ports import Progress, SessionState
from tests.terminal.window import Screen


class Time:
    """Monotonic seconds that the test moves."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


class Lines:
    """A log that records its events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.events.append(("warning", event, fields))


class Broken:
    """An observer that fails at everything."""

    def noticed(self, *_: object, **__: object) -> None:
        raise RuntimeError("no eyes")

    warned = progressed = close = noticed


def at(settled: int, total: int = 1000, **changes: Any) -> Progress:
    fields = {
        "outcomes": {"transferred": settled, "rejected": 0},
        "in_flight": 8,
        "sent": settled,
        "rate_per_s": 25.0,
        **changes,
    }
    return Progress(total=total, settled=settled, **fields)


def test_a_line_is_said_at_the_start_once_a_minute_and_at_the_end():
    text, now = io.StringIO(), Time()
    observer = LineObserver(progress_to_stream(LossyStream(text)), now)

    for settled in range(0, 1000, 5):
        observer.progressed(at(settled))
        now.s += 0.5
    observer.close()
    observer.close()

    assert text.getvalue() == (
        "progress: 0 of 1,000 settled (0%); in flight 8; at most 25/s\n"
        "progress: 600 of 1,000 settled (60%); transferred 600; in flight 8; "
        "at most 25/s; about 40 s left\n"
        "progress: 995 of 1,000 settled (99%); transferred 995; in flight 8; "
        "at most 25/s; about 0.5 s left\n"
    )


def test_nothing_is_said_of_a_run_that_never_moved():
    text = io.StringIO()
    LineObserver(progress_to_stream(LossyStream(text)), Time()).close()

    assert text.getvalue() == ""


def test_a_line_lists_outcomes_in_order_and_what_is_waited_for():
    progress = at(
        30,
        outcomes={"in_doubt": 1, "transferred": 20, "rejected": 9, "odd\n": 1},
        rate_per_s=None,
        waiting_for="Retry-After 30 s\x1b",
    )

    assert progress_line(progress, Throughput()) == (
        "30 of 1,000 settled (3%); transferred 20, rejected 9, in doubt 1, odd\\n 1; in flight 8; "
        "waiting for Retry-After 30 s\\x1b"
    )


def test_the_pace_is_that_of_the_last_half_minute():
    pace = Throughput()
    for second in range(100):
        pace.add(float(second), at(second * 10 if second < 50 else 500))

    assert pace.per_s == 0
    assert pace.left_s is None


def test_the_pace_is_unknown_until_two_samples_tell():
    pace = Throughput()
    assert pace.per_s is None
    pace.add(5.0, at(0, 20))
    assert (pace.per_s, pace.left_s) == (None, None)
    pace.add(7.0, at(10, 20))
    assert (pace.per_s, pace.left_s) == (5.0, 2.0)


def paced(*spans: tuple[int, dict[str, Any]], per_s: int = 10) -> tuple[Throughput, int]:
    """Return the pace after spans of seconds; nothing is settled while something is waited for."""
    pace, second, settled = Throughput(), 0, 0
    for seconds, changes in spans:
        for _ in range(seconds):
            pace.add(float(second), at(settled, **changes))
            second += 1
            settled += 0 if "waiting_for" in changes else per_s
    return pace, settled


HELD: dict[str, Any] = {"waiting_for": "the confirmation of wave 2 of 3"}


def test_nothing_is_promised_while_something_holds_the_run():
    pace, _ = paced((20, {}), (1, HELD))
    assert pace.left_s is None
    line = progress_line(at(200, **HELD), pace)
    assert "left" not in line
    assert progress_fields(at(200, **HELD), pace)["left_s"] is None


def test_the_time_of_a_hold_does_not_slow_the_pace():
    pace, settled = paced((20, {}), (300, HELD), (2, {}))
    assert pace.per_s == 10.0
    assert pace.left_s == (1000 - settled + 10) / 10


def test_it_begins_with_what_the_limits_let_it_take():
    pace = Throughput()
    pace.add(0.0, at(0, limit_per_s=20.0))
    assert pace.left_s == 50.0
    pace.add(1.0, at(1, limit_per_s=20.0))
    assert pace.left_s == 999 / 20
    pace.add(5.0, at(50, limit_per_s=20.0))
    assert pace.left_s == 95.0


def test_the_plan_s_estimate_counts_where_more_than_the_rate_limits_it():
    pace = Throughput()
    pace.add(0.0, at(0, limit_per_s=20.0, sending_s=400.0))
    assert pace.left_s == 400.0


def test_planned_pauses_are_added():
    pace = Throughput()
    pace.add(0.0, at(0, limit_per_s=20.0, pauses_left_s=600.0))
    assert pace.left_s == 650.0


def test_another_limit_begins_another_measurement():
    pace, settled = paced((60, {"limit_per_s": 10.0}), (1, {"limit_per_s": 5.0}))
    assert pace.left_s == (1000 - settled + 10) / 5.0


def test_a_run_that_stops_has_no_time_left():
    pace, _ = paced((20, {}), (1, {"is_stopping": True}))
    assert pace.left_s is None


def test_an_empty_plan_is_settled():
    held = at(0, 0, waiting_for="a resume", command="runner control resume")
    assert progress_line(held, Throughput()).endswith(
        "; waiting for a resume; go on by: runner control resume"
    )
    assert progress_line(at(0, 0), Throughput()).startswith("0 of 0 settled (100%)")


def test_the_log_gets_events_and_progress_as_fields():
    log, now = Lines(), Time()
    observers = Observers([LogObserver(log), LineObserver(progress_to_log(log), now)])

    observers.noticed("session opened", generation=1)
    observers.warned("slowed down", why="rate_limited")
    observers.progressed(
        at(
            5,
            limit_per_s=25.0,
            sent_per_s=24.84,
            session=SessionState.OPEN,
            latency_ms=RecentLatency(20.0, 40.0),
            callbacks_owed=3,
        )
    )

    assert log.events == [
        ("info", "session opened", {"generation": 1}),
        ("warning", "slowed down", {"why": "rate_limited"}),
        (
            "info",
            "progress",
            {
                "total": 1000,
                "settled": 5,
                "in_flight": 8,
                "sent": 5,
                "outcomes": {"transferred": 5},
                "pace_per_s": None,
                "rate_per_s": 25.0,
                "limit_per_s": 25.0,
                "sent_per_s": 24.8,
                "session": "open",
                "latency_ms": {"p50": 20.0, "p99": 40.0},
                "callbacks_owed": 3,
                "left_s": 40,
                "waiting_for": None,
                "paced_by": None,
                "command": None,
            },
        ),
    ]


@pytest.mark.parametrize("call", ["noticed", "warned", "progressed", "close"])
def test_an_observer_that_raises_is_dropped_and_noted_once(call: str):
    log = Lines()
    observers = Observers([Broken(), LogObserver(log), Broken()])
    argument = {"progressed": [at(1)], "close": []}.get(call, ["x"])

    getattr(observers, call)(*argument)
    observers.noticed("still here")

    dropped = {"observer": "Broken", "error": "RuntimeError: no eyes"}
    warnings = [fields for level, _, fields in log.events if level == "warning" and fields]
    assert warnings == [dropped, dropped]
    assert log.events[-1] == ("info", "still here", {})


def test_the_view_shows_progress_and_logs_appear_above_it():
    master, slave = os.openpty()
    now = Time()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb", buffering=0) as seen:
        stream = LossyStream(terminal)
        writer = TerminalWriter(stream, lambda _: None)
        stream.divert(writer.write)
        observer = LiveObserver(writer, now=now, wall=lambda: 0.0)
        with configure_logs("pretty", stream=stream, environ={}, wall=lambda: 0.0) as logs:
            now.s += 5  # the journal's lock was waited for
            observer.noticed("planned", run="R1", started_at="1970-01-01T00:00:00Z", send=1000)
            observer.progressed(at(0))
            now.s += 10
            observer.warned("slowing down", why="x\x1b[2J", token="hunter22")
            logs.log.warning("a [bold]line[/]")
            observer.progressed(at(250, outcomes={"transferred": 249, "in_doubt": 1}))
            shown = Screen(80, 24)
            while "250/1,000 25%" not in shown.text:
                shown.feed(seen.read(65536))
        observer.close()
        writer.close(None)
    assert shown.lines[:3] == ["00:00:00Z warning a [bold]line[/]", "", "run R1"]
    assert "at most 25/s  10 s so far  about 30 s left" in shown.text
    assert "transferred 249  in doubt 1" in shown.lines
    assert shown.lines[-1] == "00:00:00Z slowing down why=x\\x1b[2J token=[redacted]"


def test_a_view_that_was_never_drawn_closes():
    text = io.StringIO()
    writer = TerminalWriter(LossyStream(text), lambda _: None)
    LiveObserver(writer, now=Time(), wall=lambda: 0.0).close()
    writer.close(None)

    assert text.getvalue() == ""


def test_a_line_is_written_as_soon_as_the_run_has_to_wait_or_goes_on():
    text, now = io.StringIO(), Time()
    observer = LineObserver(progress_to_stream(LossyStream(text)), now, shows_holds=True)
    for settled, waiting_for in enumerate([None, "9 s more", "8 s more", None, None]):
        observer.progressed(at(settled, waiting_for=waiting_for))
        now.s += 1

    said = [line.split(";")[0] for line in text.getvalue().splitlines()]
    assert said == [f"progress: {n} of 1,000 settled (0%)" for n in (0, 1, 3)]
    assert "waiting for 9 s more" in text.getvalue()


def watched(stream: io.StringIO, environ: dict[str, str], **options: Any) -> tuple[str, Lines]:
    log = Lines()
    lossy = LossyStream(stream)
    writer = TerminalWriter(lossy, lambda _: None)
    observers = choose_observers(
        lossy, log, writer, now=Time(), wall=lambda: 0.0, environ=environ, **options
    )
    observers.progressed(at(1))
    writer.flush(20.0)
    observers.close()
    writer.close(None)
    return stream.getvalue(), log


def test_a_terminal_is_watched_by_a_view_and_others_by_lines():
    term = {"TERM": "xterm"}

    assert "─" in watched(Terminal(), term, pretty_log=True)[0]
    for stream, environ, options in (
        (Terminal(), term, {"progress": False}),
        (Terminal(), {**term, "CI": "1"}, {}),
        (Terminal(), {"TERM": "dumb"}, {}),
        (io.StringIO(), term, {}),
    ):
        text, log = watched(stream, environ, pretty_log=True, **options)
        assert text.startswith("progress: 1 of 1,000 settled")
        assert log.events == []


def test_among_json_lines_the_progress_is_a_log_line():
    text, log = watched(io.StringIO(), {}, pretty_log=False)

    assert (text, [event for _, event, _ in log.events]) == ("", ["progress"])
    assert json.dumps(log.events[0][2])


def test_when_quiet_there_is_no_progress():
    text, log = watched(io.StringIO(), {}, pretty_log=True, verbosity=-1)

    assert (text, log.events) == ("", [])
