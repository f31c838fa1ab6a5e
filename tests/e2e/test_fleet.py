"""A worker and its commands as a person uses them, and what a service manager hears."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import urllib.request
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.e2e.harness import Ended, Harness, Process, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, Interaction, Step
from tests.postgres_server import fresh_database

OWN = ("environments", "gateways")


@pytest.fixture(autouse=True)
def _fleet(harness: Harness) -> None:
    harness.env["RUNNER_JOURNAL"] = fresh_database()


def configured(harness: Harness, content: dict[str, Any], **keys: Any) -> Path:
    own = {key: content[key] for key in OWN}
    path = harness.folder / "worker.yaml"
    path.write_text(yaml.safe_dump({"worker": "w1", "lease": "3s", **keys, **own}))
    return path


def first_line(process: Process, event: str) -> dict[str, Any]:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and (found := json.loads(line))["event"] == event:
            return dict(found)
    raise AssertionError(process.wait())


def hear(manager: socket.socket, told: list[bytes]) -> None:
    while b"STOPPING=1" not in told:
        told.append(manager.recv(4096))


def asked(port: int, place: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{place}") as answer:
        return str(answer.read().decode())


def test_a_worker_carries_shows_reports_its_health_and_ends_cleanly(
    gateway: Gateway, harness: Harness, tmp_path: Path
):
    content = manifest(gateway, [transfer(f"i-{n}") for n in range(4)])
    gateway.scripts["i-1"] = [Step("transfer_rejected")]
    path = harness.write(content)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        told: list[bytes] = []
        listener = Thread(target=hear, args=(manager, told), daemon=True)
        listener.start()
        harness.env["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        config = configured(harness, content, health="127.0.0.1:0")
        with harness.started("worker", "--config", config) as worker:
            port = first_line(worker, "worker is up")["health"]
            submitted = harness.run("submit", path, "--wait")
            assert submitted.code == 1, submitted.err
            assert "submission 1 (batch): ended, exit code 1" in submitted.out
            shown = harness.run("status", "--fleet")
            assert "w1: up; carries" in shown.out
            assert "1 batch (foreign): ended; exit code 1" in shown.out
            report = submitted.out.splitlines()[-1].split()[2]
            assert harness.run("report", report).code == 0
            for place, expected in (("healthz", "ok"), ("metrics", 'runs_total{code="1"} 1')):
                while expected not in asked(port, place):  # once the run's report is written
                    assert worker.poll() is None
            worker.send_signal(signal.SIGTERM)
            worker.communicate()
            assert worker.returncode == 0
            listener.join(60)
        assert told[0].startswith(b"READY=1\nWATCHDOG=1")
        assert told[-1] == b"STOPPING=1"
    assert sorted(effect.interaction_id for effect in gateway.effects) == ["i-0", "i-2", "i-3"]


def test_what_is_wrong_is_said_with_what_to_do(harness: Harness, gateway: Gateway):
    content = manifest(gateway, [transfer("i")])
    path = harness.write(content)
    config = configured(harness, content, health="0.0.0.0:80")
    refused = [
        (harness.run("worker", "--config", config), "`health` must be an address of this machine"),
        (harness.run("submit", path, "--at", "tomorrow"), "is not a valid date and time"),
        (harness.run("submit", path, "--at", "2026-12-01T02:00:00"), "which time zone"),
        (harness.run("cancel", "7"), "there is no submission 7"),
        (harness.run("drain", "w7"), "there is no worker 'w7'"),
        (harness.run("submit", path, "--journal", "j.db"), "name a database with postgresql://"),
    ]
    for ended, message in refused:
        assert ended.code == 2, ended
        assert message in ended.err
    del harness.env["RUNNER_JOURNAL"]
    unnamed = harness.run("status", "--fleet")
    assert unnamed.code == 2
    assert "which fleet?" in unnamed.err


def test_several_environments_are_a_run_each_and_the_worst_code_counts(
    gateway: Gateway, harness: Harness
):
    content = manifest(gateway, [transfer("i-1"), transfer("i-2")])
    here = content["environments"].pop("foreign")
    content["environments"] = {"eu": here | {"account": "eu"}, "us": here | {"account": "us"}}
    content["environment"] = "eu"
    gateway.scripts["i-2"] = [Step("transfer_rejected")]
    path = harness.write(content)
    ended = harness.run("apply", path, "--env", "eu", "--env", "us", "--yes")
    assert ended.code == 1, ended.err
    assert "environments: eu: exit code 1; us: exit code 1" in ended.err
    with harness.started("worker", "--config", configured(harness, content)) as worker:
        first_line(worker, "worker is up")
        waited = harness.run("submit", path, "--env", "eu", "--env", "us", "--wait")
        worker.terminate()
        worker.communicate()
    assert waited.code == 1, waited.err
    assert waited.out.count("ended, exit code 1") == 2
    lanes = json.loads(harness.run("status", "--fleet", "--output", "json").out)["lanes"]
    assert len(lanes) == 2
    indexed = harness.run("report", "--index", "--out", "fleet.html")
    assert indexed.code == 0, indexed.err
    page = (harness.folder / "fleet.html").read_text()
    assert page.count("<bdi>batch</bdi>") == 1
    assert page.count("<title>") == 1 + 4  # the page's; of `apply` and of the worker, in both lanes


def test_if_one_environment_is_refused_none_is_stored_and_none_begun(
    gateway: Gateway, harness: Harness
):
    content = manifest(gateway, [transfer("i-1")])
    here = content["environments"].pop("foreign")
    credentials = here["credentials"] | {"client_secret": {"env": "NO_SUCH_SECRET"}}
    content["environments"] = {
        "eu": here | {"account": "eu"},
        "ap": here | {"account": "ap", "credentials": credentials},
    }
    content["environment"] = "eu"
    path = harness.write(content)
    wrong = harness.run("submit", path, "--env", "eu", "--env", "us", "--env", "nowhere")
    assert wrong.code == 3, wrong.err
    assert "`us`" in wrong.err
    assert "`nowhere`" in wrong.err
    begun = harness.run("apply", path, "--env", "eu", "--env", "ap", "--yes")
    assert begun.code == 3, begun.err
    assert "NO_SUCH_SECRET" in begun.err
    assert not gateway.frames
    fleet = json.loads(harness.run("status", "--fleet", "--output", "json").out)
    assert fleet["submissions"] == []
    assert harness.run("submit", path, "--env", "eu", "--env", "ap").code == 0  # a worker's secrets


def test_an_operator_controls_the_run_of_a_worker_and_the_report_says_who(
    gateway: Gateway, harness: Harness
):
    gateway.default = Step(until="drained")
    content = manifest(
        gateway, [transfer() for _ in range(20)], limits={"in_flight": 4, "rate": "50/s"}
    )
    content["policy"]["negotiation_timeout"] = "60s"
    path = harness.write(content)
    with harness.started("worker", "--config", configured(harness, content)) as worker:
        assert harness.run("submit", path).code == 0
        gateway.wait_until(lambda: len(gateway.frames) == 4)
        paused = harness.run("control", "pause", "--all", "--reason", "the queue is full")
        assert paused.code == 0, paused.err
        shown = harness.run("status", "--fleet").out
        assert "    is paused by database role postgres since" in shown, shown
        assert "    let it go on: runner control resume --journal 'postgresql://" in shown
        gateway.release("drained")
        shown = json.loads(harness.run("control", "show", "--output", "json").out)
        state = shown["answers"][0]["state"]
        assert state["paused"] == "paused by database role postgres: the queue is full"
        assert harness.run("control", "rate", "99/s").code == 1
        stopped = harness.run("control", "stop")
        assert stopped.code == 0, stopped.err
        waited = harness.run("submit", path, "--wait")  # its turn comes after the first one's end
        worker.terminate()
        worker.communicate()
    assert waited.code == 0, waited.err
    assert "1 batch (foreign): ended; exit code 5" in harness.run("status", "--fleet").out
    assert len(gateway.frames) == 20
    folders = sorted((harness.folder / "reports" / "batch").glob("2*"))
    first = harness.report(folders[0])
    assert [(each["who"], each["what"], each["why"]) for each in first.json["decisions"]] == [
        ("database role postgres", "pause", "the queue is full"),
        ("database role postgres", "stop", None),
    ]
    gone = harness.run("control", "pause")
    assert gone.code == 4, gone.err
    none = harness.run("control", "pause", "--all")
    assert none.code == 4, none.err
    assert "no run is going on; looked at 1 journal in postgresql://" in " ".join(none.err.split())


def test_a_batch_that_was_handed_over_goes_on_where_it_stood(gateway: Gateway, harness: Harness):
    """Wave 1 and its confirmation are through, one has failed, and an operator has paused it."""
    content = manifest(
        gateway, [transfer(f"i-{n}") for n in range(12)], limits={"in_flight": 1, "rate": "100/s"}
    )
    content["policy"] |= {
        "waves": [4, {"size": "100%", "confirm": True}],
        "max_failures": 1,
        "negotiation_timeout": "60s",
    }
    gateway.scripts |= {
        "i-4": [Step("transfer_rejected")],
        "i-5": [Step(until="handed over")],
        "i-8": [Step("transfer_rejected")],
    }
    path = harness.write(content)
    with harness.started("worker", "--config", configured(harness, content)) as first:
        assert harness.run("submit", path).code == 0
        gateway.wait_until(lambda: len(gateway.frames) == 4)
        while harness.run("control", "continue").code:  # until wave 1 is final
            assert first.poll() is None
        gateway.wait_until(lambda: len(gateway.frames) == 6)
        assert harness.run("control", "pause", "--reason", "full").code == 0
        first.terminate()
        gateway.release("handed over")
        first.communicate()
        assert first.returncode == 0
    with harness.started("worker", "--config", configured(harness, content, worker="w2")) as second:
        state: dict[str, Any] = {}
        while state.get("stage") is None:  # until its wave has begun
            assert second.poll() is None
            shown = harness.run("control", "show", "--output", "json")
            state = json.loads(shown.out)["answers"][0]["state"] if not shown.code else {}
        assert state["stage"] == "wave 2 of 2"
        assert state["paused"] == "paused by database role postgres: full"
        assert len(gateway.frames) == 6
        assert harness.run("control", "resume").code == 0
        while "ended; exit code 5" not in harness.run("status", "--fleet").out:
            assert second.poll() is None
        second.terminate()
        second.communicate()
    assert [frame.interaction_id for frame in gateway.frames] == [f"i-{n}" for n in range(9)]
    report = harness.newest_report()
    report.check(5)
    assert "2 of the 12 transfers to be sent in this batch" in report.run["explanation"]
    outcomes = {name: each["outcome"] for name, each in report.by_id.items()}
    assert (outcomes["i-3"], outcomes["i-4"], outcomes["i-8"]) == (
        "unchanged", "rejected", "rejected",
    )  # fmt: skip
    assert report.by_id["i-6"]["wave"] == 2


def test_what_a_submissions_run_offers_works_in_any_terminal(
    gateway: Gateway, harness: Harness, tmp_path: Path
):
    """Its manifest was written where the worker ran, and is gone; the journal is the database."""
    rows = [transfer("i-0"), transfer("i-1"), transfer("i-2")]
    gateway.scripts["i-2"] = [MUTE, Step()]
    content = manifest(gateway, rows, limits={"in_flight": 1, "rate": "50/s"})
    content["policy"] |= {"waves": [2, {"size": "100%", "confirm": True}]}
    path = harness.write(content, "batch7.yaml")
    elsewhere = Harness(tmp_path / "elsewhere")  # without the variable that names the journal
    elsewhere.folder.mkdir()
    said: list[str] = []

    def paste(command: str, *, folder: Harness = elsewhere) -> Ended:
        said.append(command)
        program, *words = shlex.split(command)
        assert program == "runner"
        ended = folder.run(*words)
        assert ended.code == 0, (command, ended)
        return ended

    with harness.started("worker", "--config", configured(harness, content)) as worker:
        submitted = harness.run("submit", path, "--env", "foreign")
        assert submitted.code == 0, submitted.err
        waiting = first_line(worker, "wave 2 of 2 waits to be confirmed")
        paused = harness.run("control", "pause").out
        shown = harness.run("control", "show").out
        [resume] = set(re.findall(r"runner control resume --journal '[^']*'", paused + shown))
        paste(resume)
        paste(waiting["command"])
        assert first_line(worker, "run of a submission ended")["code"] == "6"
        latest = json.loads(harness.run("status", "latest", "--output", "json").out)
        report = harness.newest_report()
        steps = {each["command"]: each["text"] for each in report.json["next_steps"]}
        again, status, _transferred, failed = steps
        assert steps[again].startswith("Submit batch7.yaml again, in its folder. What is in doubt")
        assert latest["next_steps"][0]["command"] == again
        paste(status)
        paste(failed)
        # In the folder of the manifest, whose copy on the worker is gone.
        paste(again, folder=Harness(harness.folder))
        assert first_line(worker, "run of a submission ended")["code"] == "0"
        worker.terminate()
        worker.communicate()
    assert report.run["manifest"]["path"] == "batch7.yaml"
    page = (report.folder / "report.html").read_text("utf-8")
    assert "scratch.db-submission" not in page + json.dumps(report.json) + json.dumps(latest)
    assert "scratch.db-submission" not in "".join(said)
    assert "password" not in "".join(said)


def test_ctrl_c_ends_the_waiting_and_not_the_submission(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer("i-1")])
    here = content["environments"].pop("foreign")
    content["environments"] = {"eu": here | {"account": "eu"}, "us": here | {"account": "us"}}
    content["environment"] = "eu"
    path = harness.write(content)
    with harness.started("submit", path, "--env", "eu", "--env", "us", "--wait") as waiting:
        assert waiting.stderr is not None
        shown = ""
        while "submission 1: waiting" not in shown:
            shown += waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate()
    assert waiting.returncode == 130
    assert "error" not in err
    assert "submissions 1 and 2 stay, and workers carry them out" in err
    see, *ends = (line.strip() for line in err.splitlines() if line.startswith("  runner "))
    del harness.env["RUNNER_JOURNAL"]
    for offered in (see, *ends):
        ended = harness.run(*shlex.split(offered)[1:])
        assert ended.code == 0, (offered, ended.err)
    assert [each.split()[2] for each in ends] == ["1", "2"]
    assert harness.run(*shlex.split(see)[1:]).out.count("to be cancelled") == 2
    assert out == ""


def test_the_undo_of_a_submissions_run_is_submitted_too(gateway: Gateway, harness: Harness):
    """Its manifest is asked for: the copy beside which an undo would belong is gone."""
    content = manifest(gateway, [transfer("i-0"), transfer("i-1")], preflight=True)
    gateway.interactions |= {name: Interaction(name, "queued") for name in ("i-0", "i-1")}
    path = harness.write(content)
    with harness.started("worker", "--config", configured(harness, content)) as worker:
        first_line(worker, "worker is up")
        assert harness.run("submit", path, "--wait").code == 0
        refused = harness.run("revert", "latest", "--out", "undo.yaml")
        assert refused.code == 2
        assert "say with --manifest where it is now" in " ".join(refused.err.split())
        assert "scratch.db-submission" not in refused.err
        to = ("--manifest", "batch.yaml", "--out", "undo.yaml", "--output", "json")
        written = harness.run("revert", "latest", *to)
        assert written.code == 0, written.err
        del harness.env["RUNNER_JOURNAL"]
        look, carry_out = json.loads(written.out)["next_steps"]
        assert "where the gateway's secrets are" in look["text"]
        assert carry_out["argv"][:3] == ["runner", "submit", "undo.yaml"]
        for step in (look, carry_out):
            assert harness.run(*step["argv"][1:]).code == 0, step
        assert first_line(worker, "run of a submission ended")["code"] == "0"
        assert first_line(worker, "run of a submission ended")["code"] == "0"
        worker.terminate()
        worker.communicate()
    assert len(gateway.effects) == 4
