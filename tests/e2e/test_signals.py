"""Runs that are interrupted, and runs that meet."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.harness import (
    PATIENCE_S,
    REPORT_SCHEMA,
    Harness,
    Process,
    manifest,
    started,
    transfer,
)
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step


def wait_for_exit(process: Process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.wait(), out, err


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_a_signal_drains_what_is_in_flight_and_loses_nothing(
    gateway: Gateway, harness: Harness, number: int, code: int
):
    """In flight settles, nothing new leaves, the report is whole, the next apply finishes."""
    gateway.default = Step(until="drained")
    content = manifest(gateway, [transfer() for _ in range(20)], limits={"in_flight": 4})
    path = harness.write(content)
    with started("apply", path, cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 4)
        process.send_signal(number)
        assert process.stderr is not None
        heard = "a second signal ends the run at once"
        while heard not in (line := process.stderr.readline()):
            assert line, "it ended without a word"
        gateway.release("drained")  # only now: else everything may be sent before it hears
        ended = wait_for_exit(process)
    assert ended[0] == code, ended
    report = harness.newest_report()
    report.check(code)
    sent = len(gateway.frames)
    assert report.summary["transferred"] == sent
    assert report.summary["unattempted"] == 20 - sent
    assert 4 <= sent < 20
    report.agree_with(gateway)
    again = harness.apply(content)
    assert again.code == 0, again.ended.err
    assert len(gateway.frames) == len(gateway.effects) == 20


def test_a_second_signal_stops_at_once_and_the_journal_is_whole(gateway: Gateway, harness: Harness):
    """What was in flight is found by the next run, and looked up, not sent again."""
    gateway.default = Step(until="never", effect=True)
    content = manifest(gateway, [transfer() for _ in range(8)], limits={"in_flight": 4})
    content["policy"]["negotiation_timeout"] = "60s"
    path = harness.write(content)
    with started("apply", path.name, "--limit", "7", cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 4)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)  # another one, because two of one kind merge
        code, _, err = wait_for_exit(process)
    assert code in {130, 143}
    assert err.endswith(
        "to look up what is in doubt, and go on:\n  runner apply batch.yaml --limit 7\n"
    )
    gateway.default = Step()
    again = harness.apply(content)
    assert again.code == 0, again.ended.err
    assert len(gateway.effects) == len({e.interaction_id for e in gateway.effects}) == 8


def test_a_killed_run_is_taken_up_and_no_one_moves_twice(gateway: Gateway, harness: Harness):
    """By kill -9, with effects that no reply told of: the next run sees them by their ids."""
    gateway.default = Step(until="never", effect=True)
    content = manifest(gateway, [transfer() for _ in range(12)], limits={"in_flight": 5})
    path = harness.write(content)
    with started("apply", path, cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 5)
        process.kill()
        wait_for_exit(process)
    dead = harness.run(
        "report", "latest", "--journal", ".runner/foreign.db", "--report-dir", "dead"
    )
    assert dead.code == 0, dead.err
    folder = harness.folder / "dead" / "batch" / "latest"
    REPORT_SCHEMA.validate(harness.report(folder).json)
    gateway.default = Step()
    again = harness.apply(content)
    assert again.code == 0, again.ended.err
    assert len(gateway.effects) == len({e.interaction_id for e in gateway.effects}) == 12
    assert again.report.summary["transferred"] == 12
    assert len(gateway.frames) == 12


def test_a_second_run_is_reported_who_holds_the_journal(gateway: Gateway, harness: Harness):
    """Exit 75 with the process id; with a `--lock-timeout` it waits and then plans anew."""
    gateway.default = Step(until="go")
    content = manifest(gateway, [transfer() for _ in range(3)])
    content["policy"]["negotiation_timeout"] = "60s"
    path = harness.write(content)
    with started("apply", path, cwd=harness.folder) as first:
        gateway.wait_until(lambda: len(gateway.frames) == 3)
        second = harness.run("apply", path)
        assert second.code == 75
        assert str(first.pid) in second.err
        with started("apply", path, "--lock-timeout", "30s", cwd=harness.folder) as third:
            gateway.release("go")
            assert wait_for_exit(first)[0] == 0
            code, out, _ = wait_for_exit(third)
    assert code == 0
    assert "unchanged" in out
    assert len(gateway.frames) == 3
