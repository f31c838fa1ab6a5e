"""`apply` on a terminal: a live view while it runs, a clean screen after it, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.terminal.window import PATIENCE_S, Screen, Window

BAR = "─"


def window(harness: Harness, path: Path, *options: str, **changes: Any) -> Window:
    """Open a terminal in which a manifest is applied."""
    env = environment() | changes.pop("env", {})
    return Window(command("apply", path, "--yes", *options), cwd=harness.folder, env=env, **changes)


def held(gateway: Gateway, number: int = 6, in_flight: int = 2, **limits: Any) -> dict[str, Any]:
    """Return a manifest whose first transfers are answered only when they are released."""
    gateway.default = Step(until="go")
    content = manifest(
        gateway,
        [transfer(key=f"k{n}") for n in range(number)],
        limits={"in_flight": in_flight, **limits},
    )
    content["policy"]["negotiation_timeout"] = "60s"
    return content


def no_remains(screen: Screen) -> bool:
    """Tell whether nothing of the live view is left, in the window or above it."""
    return not any(mark in screen.text for mark in ("━", "─", "so far", "session open\n"))


@pytest.mark.parametrize("columns", [80, 40])
def test_the_view_shows_the_run_and_leaves_the_verdict_alone(
    gateway: Gateway, harness: Harness, columns: int
):
    content = held(gateway)
    refused = content["transfers"][0]["interaction_id"]
    gateway.scripts[refused] = [Step("transfer_rejected", reason="not [red]now[/]\x1b[31m\x07")]
    with window(harness, harness.write(content), columns=columns) as shown:
        result = ("1/6 16%", "session open", "in flight 2", "rejected 1")
        problem = "Z rejected k0: not [red]now[/]"
        shown.wait_for(lambda s: all(each in s.text for each in (*result, problem)))
        gateway.release("go")
        assert shown.ended() == 1
    assert no_remains(shown.screen)
    assert "failures: 1 of 6 transfers was rejected or failed" in " ".join(
        shown.screen.text.split()
    )
    assert b"\x07" not in shown.written
    assert b"\x1b[?25l" not in shown.written  # the cursor was never hidden


@pytest.mark.parametrize("breaks_anew", [True, False], ids=["breaks lines anew", "cuts lines"])
def test_a_window_may_become_narrow_and_wide_again(
    gateway: Gateway, harness: Harness, *, breaks_anew: bool
):
    with window(harness, harness.write(held(gateway))) as shown:
        shown.wait_for("session open  in flight 2")
        assert any(len(line) == 79 and "0/6 0%" in line for line in shown.screen.lines)
        shown.resize(40, 24, breaks_anew=breaks_anew)
        narrow = lambda s: any(len(line) == 39 and "0/6 0%" in line for line in s.lines)  # noqa: E731
        shown.wait_for(lambda s: narrow(s) and s.text.count("in flight 2") == 1)
        assert shown.screen.text.count("0/6 0%") == 1
        shown.resize(100, 24, breaks_anew=breaks_anew)
        shown.wait_for(lambda s: any(len(line) == 99 and "0/6 0%" in line for line in s.lines))
        assert shown.screen.text.count("0/6 0%") == 1
        gateway.release("go")
        assert shown.ended() == 0
    assert no_remains(shown.screen)


def test_ten_rows_are_enough(gateway: Gateway, harness: Harness):
    with window(harness, harness.write(held(gateway)), rows=10) as shown:
        shown.wait_for("in flight 2")
        gateway.release("go")
        assert shown.ended() == 0
    assert no_remains(shown.screen)


def test_ctrl_c_drains_and_leaves_a_clean_screen(gateway: Gateway, harness: Harness):
    with window(harness, harness.write(held(gateway))) as shown:
        shown.wait_for("in flight 2")
        shown.type(b"\x03")
        shown.wait_for("stopping: what is in flight settles")
        gateway.release("go")
        assert shown.ended() == 130
    assert no_remains(shown.screen)
    assert "interrupted: stopped by SIGINT" in shown.screen.text
    harness.newest_report().check(130)


def test_a_second_ctrl_c_ends_at_once_and_leaves_a_clean_screen_too(
    gateway: Gateway, harness: Harness
):
    with window(harness, harness.write(held(gateway))) as shown:
        shown.wait_for("in flight 2")
        shown.type(b"\x03")
        shown.wait_for("stopping: what is in flight settles")
        while shown.process.poll() is None:  # the first is taken for an echo if it comes at once
            shown.type(b"\x03")
            with suppress(subprocess.TimeoutExpired):
                shown.process.wait(0.2)
        assert shown.ended() == 130
    assert no_remains(shown.screen)
    at = shown.screen.lines.index("to look up what is in doubt, and go on:")
    assert shown.screen.lines[at - 1].endswith("signal=SIGINT")
    assert shown.screen.lines[at + 1].startswith("  runner apply ")
    assert "ended at once; what was in flight is in doubt" in shown.screen.text


def test_sigterm_leaves_a_clean_screen(gateway: Gateway, harness: Harness):
    with window(harness, harness.write(held(gateway))) as shown:
        shown.wait_for("in flight 2")
        shown.process.send_signal(signal.SIGTERM)
        shown.wait_for("stopping: what is in flight settles")
        gateway.release("go")
        assert shown.ended() == 143
    assert no_remains(shown.screen)


def test_an_error_in_the_middle_leaves_a_clean_screen(gateway: Gateway, harness: Harness):
    """The gateway takes the session away and grants no other."""
    content = held(gateway)
    gateway.scripts[content["transfers"][0]["interaction_id"]] = [Step(until="now", cut=True)]
    with window(harness, harness.write(content)) as shown:
        shown.wait_for("in flight 2")
        gateway.handshake_answers = [403] * 100
        gateway.release("now")
        assert shown.ended() == 6
    assert no_remains(shown.screen)
    harness.newest_report().check(6)


def test_a_terminal_that_goes_away_stops_the_run_in_order(gateway: Gateway, harness: Harness):
    """SIGHUP, and EIO for every further word: what is in flight settles and is reported."""
    with window(harness, harness.write(held(gateway))) as shown:
        shown.wait_for("in flight 2")
        shown.hang_up()
        gateway.release("go")
        assert shown.process.wait(PATIENCE_S) == 129
    report = harness.newest_report()
    report.check(129)
    assert report.summary["transferred"] >= 2
    report.agree_with(gateway)


def test_a_run_that_ignores_the_hang_up_goes_on_without_a_terminal(
    gateway: Gateway, harness: Harness
):
    """`nohup` would have it so: every write fails, and every transfer is carried out."""
    path = harness.write(held(gateway))
    arguments = ["/bin/sh", "-c", 'setsid "$@" & wait', "sh", *command("apply", path, "--yes")]
    with Window(arguments, cwd=harness.folder, env=environment()) as shown:
        shown.wait_for("in flight 2")
        shown.hang_up()
        gateway.release("go")
        gateway.wait_until((harness.folder / "reports" / "batch" / "latest").exists)
    report = harness.newest_report()
    report.check(0)
    assert report.summary["transferred"] == 6


def test_a_terminal_that_is_not_read_stops_no_run(gateway: Gateway, harness: Harness):
    """Thousands of log lines into a pty that nobody reads: all is carried out and reported."""
    content = manifest(gateway, [transfer() for _ in range(400)], limits={"in_flight": 64})
    for each in content["transfers"]:
        gateway.scripts[each["interaction_id"]] = [Step("transfer_rejected", reason="x" * 200)]
    content["callbacks"] = {}
    path = harness.write(content)
    with (harness.folder / "out").open("wb") as out:
        stuffed = window(harness, path, "--log-file", "log", stdout=out.fileno())
    with stuffed as shown:
        stuff(shown)
        assert shown.process.wait(PATIENCE_S) == 1
    harness.newest_report().check(1)
    assert "failures: 400 of 400" in (harness.folder / "out").read_text()


def stuff(shown: Window) -> None:
    """Fill the terminal as a program does that writes more than anybody reads."""
    slave = os.open(shown.name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        while True:
            os.write(slave, b"x" * 1024)
    except BlockingIOError:
        os.close(slave)


def test_the_verdict_waits_while_the_terminal_is_stopped(gateway: Gateway, harness: Harness):
    """Ctrl-S in the middle: the run ends and is reported; Ctrl-Q shows a clean screen."""
    with window(harness, harness.write(held(gateway))) as shown:
        shown.wait_for("in flight 2")
        shown.type(b"\x13")
        gateway.release("go")
        gateway.wait_until((harness.folder / "reports" / "batch" / "latest").exists)
        harness.newest_report().check(0)
        assert shown.process.poll() is None
        shown.type(b"\x11")
        assert shown.ended() == 0
    assert no_remains(shown.screen)
    assert "ok: all 6 transfers done" in shown.screen.text


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (["--no-progress"], {}),
        ([], {"CI": "true"}),
        ([], {"TERM": "dumb"}),
        ([], {"RUNNER_NO_PROGRESS": "1"}),
    ],
    ids=["--no-progress", "CI", "dumb", "RUNNER_NO_PROGRESS"],
)
def test_where_no_view_is_wanted_there_are_lines(
    gateway: Gateway, harness: Harness, options: list[str], env: dict[str, str]
):
    path = harness.write(manifest(gateway, [transfer()]))
    with window(harness, path, *options, env=env) as shown:
        assert shown.ended() == 0
    assert BAR not in shown.written.decode()
    assert "progress: 1 of 1 settled (100%)" in shown.screen.text


def test_no_color_leaves_the_view_without_colour(gateway: Gateway, harness: Harness):
    with window(harness, harness.write(held(gateway)), env={"NO_COLOR": "1"}) as shown:
        shown.wait_for("in flight 2")
        gateway.release("go")
        assert shown.ended() == 0
    assert BAR in shown.written.decode()
    assert b"m" not in {part[-1:] for part in sequences(shown.written)}


def sequences(written: bytes) -> list[bytes]:
    """Return the control sequences, each with its final byte."""
    return re.findall(rb"\x1b\[[0-9;?]*[A-Za-z]", written)
