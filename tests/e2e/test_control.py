"""A running batch is paused, slowed down, looked at and stopped from another terminal."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema_rs

from tests.e2e.harness import PATIENCE_S, Harness, Process, manifest, started, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step

RESULT = jsonschema_rs.validator_for(
    json.loads(Path("schemas/result.v1.schema.json").read_text("utf-8"))
)


@contextmanager
def held(gateway: Gateway, harness: Harness, number: int = 20) -> Iterator[Process]:
    """Yield a run with four transfers in flight, which settle when `drained` is released."""
    gateway.default = Step(until="drained")
    content = manifest(
        gateway, [transfer() for _ in range(number)], limits={"in_flight": 4, "rate": "50/s"}
    )
    content["policy"]["negotiation_timeout"] = "60s"
    path = harness.write(content)
    with started("apply", path, cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 4)
        yield process


def ended(process: Process) -> tuple[int | None, str]:
    _, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, err


def test_a_run_is_paused_and_resumed_and_its_report_says_who_and_why(
    gateway: Gateway, harness: Harness
):
    with held(gateway, harness) as process:
        paused = harness.run("control", "pause", "--reason", "the queue\u00a0is\nfull")
        assert paused.code == 0, paused.err
        resume = f"runner control resume --journal {harness.folder}/.runner/"  # from any folder
        assert f"paused: no frame leaves until `{resume}" in paused.out
        assert resume in harness.run("control", "show").out
        listed = harness.run("status")
        assert re.search(
            r"^  is paused by \w+ since .+: the queue is full$", listed.out, re.MULTILINE
        ), listed
        resume = rf"^    runner control resume --journal {re.escape(str(harness.folder))}/\S+$"
        assert re.search(resume, listed.out, re.MULTILINE), listed
        status = json.loads(harness.run("status", "latest", "--output", "json").out)
        RESULT.validate(status)
        assert [hold["ends_by"] for hold in status["run"]["holds"]] == ["resume"]
        assert status["next_steps"][0]["argv"][:3] == ["runner", "control", "resume"]
        gateway.release("drained")
        shown = json.loads(harness.run("control", "show", "--output", "json").out)
        RESULT.validate(shown)
        assert shown["answers"][0]["state"]["paused"].endswith(": the queue is full")
        assert len(gateway.frames) == 4
        assert harness.run("control", "rate", "99/s").code == 1
        assert harness.run("control", "resume").code == 0
        code, err = ended(process)
    assert code == 0, err
    assert "control: pause" in err
    report = harness.newest_report()
    report.check(0)
    decisions = report.json["decisions"]
    assert [(each["what"], each["why"]) for each in decisions] == [
        ("pause", "the queue is full"),
        ("resume", None),
    ]
    page = (report.folder / "report.html").read_text("utf-8")
    assert "Decisions" in page
    assert "the queue is full" in page
    audit = (report.folder / "audit.jsonl").read_text("utf-8")
    assert audit.count('"event":"control"') == 2
    assert harness.run("audit", "verify", str(report.folder / "audit.jsonl")).code == 0
    gone = harness.run("control", "pause")
    assert gone.code == 4
    assert "is not running: it ended as ok" in gone.err
    assert not list(harness.folder.rglob("*.control"))


def test_a_run_is_stopped_and_the_next_one_finishes(gateway: Gateway, harness: Harness):
    with held(gateway, harness) as process:
        assert harness.run("control", "show", "--all").code == 2
        stopped = harness.run("control", "stop", "--all")
        assert stopped.code == 0, stopped.err
        gateway.release("drained")
        code, err = ended(process)
    assert code == 5, err
    assert len(gateway.effects) == 4
    gateway.default = Step()
    assert harness.run("apply", "batch.yaml").code == 0
    assert len(gateway.effects) == 20


def test_a_run_that_was_killed_is_not_running(gateway: Gateway, harness: Harness):
    with held(gateway, harness) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
        dead = harness.run("control", "pause")
        assert dead.code == 4
        assert "is not running: it died" in dead.err
        assert harness.run("control", "nosuchrun", "pause").code == 2
        assert list(harness.folder.rglob("*.control"))  # what it left
    gateway.release("drained")
    gateway.default = Step()
    again = harness.run("apply", "batch.yaml")
    assert again.code in {0, 6}, again.err
    assert "takes no commands" not in again.err
    assert not list(harness.folder.rglob("*.control"))
