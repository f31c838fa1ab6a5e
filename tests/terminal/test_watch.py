"""`runner status --watch`: the same view of a run that another process carries out."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import jsonschema_rs

from runner.schemas_lookup import schema
from tests.e2e.harness import Ended, Harness, command, environment, manifest, started, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.terminal.window import PATIENCE_S, Window

WATCH = ("status", "--watch", "--journal", ".runner/foreign.db")


def watching(harness: Harness, *options: str, **changes: Any) -> Window:
    arguments = command(*WATCH, *options)
    return Window(arguments, cwd=harness.folder, env=environment(), **changes)


def held(gateway: Gateway, harness: Harness, number: int = 6) -> Path:
    """Write a manifest whose first two transfers are answered only when they are released."""
    gateway.default = Step(until="go")
    transfers = [transfer(key=f"k{n}") for n in range(number)]
    refused = Step("transfer_rejected", reason="not now", until="refuse")
    gateway.scripts[transfers[0]["interaction_id"]] = [refused]
    content = manifest(gateway, transfers, limits={"in_flight": 2, "rate": "50/s"})
    content["policy"]["negotiation_timeout"] = "60s"
    return harness.write(content)


def test_it_shows_the_run_until_it_ends_and_how(gateway: Gateway, harness: Harness):
    with started("apply", held(gateway, harness), cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        with watching(harness) as shown:
            shown.wait_for("session open  in flight 2")
            assert "0/6 0%" in shown.screen.text
            assert "batch batch, environment foreign, run " in shown.screen.text
            assert "/s of 50/s" in shown.screen.text
            gateway.release("refuse")
            shown.wait_for("rejected 1")
            assert "Z rejected k0: not now" in shown.screen.text
            gateway.release("go")
            assert shown.ended() == 0
        assert process.wait(PATIENCE_S) == 1
    assert "━" not in shown.screen.text
    assert "session" not in shown.screen.text
    assert "  failures  batch batch" in shown.screen.lines[-3] + shown.screen.text
    assert "5 transferred, 1 rejected" in shown.screen.text


def test_forty_columns_do(gateway: Gateway, harness: Harness):
    with started("apply", held(gateway, harness), cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        with watching(harness, columns=40, rows=10) as shown:
            shown.wait_for("in flight 2")
            for gate in ("refuse", "go"):
                gateway.release(gate)
            assert shown.ended() == 0
        process.wait(PATIENCE_S)
    assert "━" not in shown.screen.text
    assert "5 transferred, 1 rejected" in shown.screen.text


def test_a_run_that_died_is_distinguished_from_one_that_goes_on(gateway: Gateway, harness: Harness):
    with started("apply", held(gateway, harness), cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        with watching(harness) as shown:
            shown.wait_for("session open  in flight 2")
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert shown.ended() == 0
    assert "━" not in shown.screen.text
    assert (
        "it died; what was in flight is in doubt until a look-up or a person settles it"
        in shown.screen.text
    )
    assert "2 in doubt" in shown.screen.text


def test_ctrl_c_ends_the_watch_and_not_the_run(gateway: Gateway, harness: Harness):
    with started("apply", held(gateway, harness), cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        with watching(harness) as shown:
            shown.wait_for("in flight 2")
            shown.type(b"\x03")
            assert shown.ended() == 130
        assert "─" not in shown.screen.text
        assert "stopped watching: the run goes on, and nothing was changed" in shown.screen.text
        assert "error" not in shown.screen.text
        assert "apply" not in shown.screen.text
        assert process.poll() is None
        for gate in ("refuse", "go"):
            gateway.release(gate)
        assert process.wait(PATIENCE_S) == 1


def test_without_a_terminal_there_are_lines_and_then_the_end(gateway: Gateway, harness: Harness):
    assert harness.run("apply", harness.write(manifest(gateway, [transfer()]))).code == 0
    ended = harness.run(*WATCH)
    assert ended.code == 0
    assert ended.out.splitlines()[0].startswith("progress: 1 of 1 settled (100%); transferred 1")
    assert "  ok  batch batch" in ended.out
    assert ended.err == ""


def test_json_is_a_line_for_each_refresh_and_the_last_has_the_end(
    gateway: Gateway, harness: Harness
):
    with started("apply", held(gateway, harness), cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        with started(*WATCH, "--output", "json", cwd=harness.folder) as watch:
            assert watch.stdout is not None
            first = json.loads(watch.stdout.readline())
            for gate in ("refuse", "go"):
                gateway.release(gate)
            rest, err = watch.communicate(timeout=PATIENCE_S)
        process.wait(PATIENCE_S)
    last = json.loads(rest.splitlines()[-1])
    for result in (first, last):
        jsonschema_rs.validator_for(schema("result.v1")).validate(result)
        assert (result["version"], result["kind"]) == (1, "progress")
    assert (first["state"], first["exit_code"], first["in_flight"]) == ("running", None, 2)
    assert (first["total"], first["settled"], first["limit_per_s"]) == (6, 0, 50.0)
    assert first["session"] == "open"
    assert (last["state"], last["outcome"], last["exit_code"]) == ("finished", "failures", 1)
    assert last["outcomes"] == {"transferred": 5, "rejected": 1}
    assert [(t["key"], t["outcome"], t["reason"]) for t in last["troubles"]] == [
        ("k0", "rejected", "not now")
    ]
    assert (watch.returncode, err) == (0, "")


def test_a_reader_that_left_ends_the_watch(gateway: Gateway, harness: Harness):
    with started("apply", held(gateway, harness), cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        with started(*WATCH, "--output", "json", cwd=harness.folder) as watch:
            assert watch.stdout is not None
            watch.stdout.readline()
            watch.stdout.close()
            assert watch.wait(PATIENCE_S) == 0
        for gate in ("refuse", "go"):
            gateway.release(gate)
        assert process.wait(PATIENCE_S) == 1


def test_a_run_is_named_and_an_unknown_one_refused(gateway: Gateway, harness: Harness):
    assert harness.run("apply", harness.write(manifest(gateway, [transfer()]))).code == 0
    name = harness.newest_report().run["id"]
    named: Ended = harness.run("status", name, "--watch", "--output", "json")
    assert json.loads(named.out)["run"] == name
    unknown = harness.run("status", name[:-1] + "x", "--watch")
    assert unknown.code == 2
    assert f"did you mean {name}?" in unknown.err
