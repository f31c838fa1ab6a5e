"""`runner resolve`: a person's word settles a doubt, durably, and evidence overrides it."""

from __future__ import annotations

import getpass
import json
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from runner.journal.lock import JournalLock
from tests.e2e.bench import ELSEWHERE, Applied, Bench, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import CUT_BUT_MOVED, MUTE, Step

JOURNAL = Path(".runner") / "foreign.db"


def in_doubt(gateway: Gateway, bench: Bench, step: Step = MUTE, **fields: Any) -> Applied:
    """Apply a batch of one transfer, `vip`, that ends in doubt."""
    doubtful = transfer(key="vip")
    gateway.scripts[doubtful["interaction_id"]] = [step, Step()]
    gateway.shows_effects = False
    applied = bench.apply(manifest(gateway, [doubtful], **fields))
    assert applied.code == 6, applied.ended.err
    return applied


def resolve(bench: Bench, run: str, word: str, *more: str) -> Any:
    reason = ("--reason", "seen in the console")
    return bench.run("resolve", run, "vip", "--as", word, *reason, *more)


def events(bench: Bench, event: str) -> list[dict[str, Any]]:
    with sqlite3.connect(bench.folder / JOURNAL) as connection:
        bodies = connection.execute("SELECT run, body FROM events ORDER BY seq").fetchall()
    told = [(run, json.loads(body)) for run, body in bodies]
    return [body | {"run_no": run} for run, body in told if body["event"] == event]


def test_transferred_settles_it_and_apply_leaves_it_alone(gateway: Gateway, bench: Bench):
    run = in_doubt(gateway, bench).report.run["id"]
    resolved = resolve(bench, run, "transferred")
    assert resolved.code == 0, resolved.err
    assert f"resolved: vip of run {run} is transferred" in resolved.out
    assert "the next apply leaves it alone" in resolved.out
    again = bench.run("apply", "batch.yaml", "--output", "json")
    assert again.code == 0
    assert json.loads(again.out)["counts"] == {"unchanged": 1}
    assert len(gateway.frames) == 1


def test_failed_lets_the_next_apply_send_it(gateway: Gateway, bench: Bench):
    in_doubt(gateway, bench)
    assert resolve(bench, "latest", "failed").code == 0
    again = bench.run("apply", "batch.yaml", "--output", "json")
    assert json.loads(again.out)["counts"] == {"transferred": 1}
    assert len(gateway.frames) == 2
    assert len({frame.id for frame in gateway.frames}) == 2


def test_evidence_overrides_the_word(gateway: Gateway, bench: Bench):
    """A person was wrong: the look-up before the next delivery shows our own message's id."""
    in_doubt(gateway, bench, CUT_BUT_MOVED)
    assert resolve(bench, "latest", "failed").code == 0
    gateway.show_effects()
    again = bench.run("apply", "batch.yaml", "--output", "json")
    assert json.loads(again.out)["counts"] == {"transferred": 1}
    assert len(gateway.frames) == len(gateway.effects) == 1


def test_it_is_journalled_with_who_when_and_why(gateway: Gateway, bench: Bench):
    run = in_doubt(gateway, bench).report.run["id"]
    resolve(bench, run, "failed")
    [disowned], [said] = events(bench, "disowned"), events(bench, "resolved by a person")
    assert disowned["key"] == "vip"
    assert disowned["run_no"] == said["run_no"] == 0
    told = {name: said[name] for name in ("user", "host", "reason", "of_run", "as")}
    assert told == {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "reason": "seen in the console",
        "of_run": run,
        "as": "failed",
    }
    assert said["at"].endswith("Z")
    assert bench.run("audit", "verify", run).code == 0


def test_any_run_that_claims_it_may_be_named(gateway: Gateway, bench: Bench):
    """A later run lists the transfer under another key, and is in doubt because of it."""
    first = in_doubt(gateway, bench)
    [listed] = first.report.json["transfers"]
    content = manifest(gateway, [transfer(listed["interaction_id"], key="other")])
    later = bench.apply(content)
    assert later.code == 6
    named = bench.run(
        "resolve", later.report.run["id"], "other", "--as", "transferred", "--reason", "seen"
    )
    assert named.code == 0, named.err
    assert f"of run {first.report.run['id']} is transferred" in named.out


@pytest.mark.parametrize(
    ("run", "key", "told"),
    [
        ("20000101T000000Z-000000", "vip", "the newest are: "),
        ("latest", "vipp", "did you mean vip?"),
        ("latest", "done", "done of run"),
        ("latest", " ", "KEY is empty"),
    ],
)
def test_what_cannot_be_meant_exits_2_and_teaches(
    gateway: Gateway, bench: Bench, run: str, key: str, told: str
):
    doubtful, done = transfer(key="vip"), transfer(key="done")
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    bench.apply(manifest(gateway, [doubtful, done]))
    ended = bench.run("resolve", run, key, "--as", "failed", "--reason", "seen")
    assert ended.code == 2
    assert told in ended.err, ended.err


def test_a_mistyped_run_is_offered_the_nearest(gateway: Gateway, bench: Bench):
    run = in_doubt(gateway, bench).report.run["id"]
    ended = resolve(bench, run[:-1] + "x", "failed")
    assert ended.code == 2
    assert f"did you mean {run}?" in ended.err


def test_what_is_settled_is_not_settled_again(gateway: Gateway, bench: Bench):
    in_doubt(gateway, bench)
    assert resolve(bench, "latest", "transferred").code == 0
    again = resolve(bench, "latest", "failed")
    assert again.code == 2
    assert "it is transferred (resolved as transferred by " in again.err


def test_while_a_run_holds_the_journal_it_exits_75(gateway: Gateway, bench: Bench):
    in_doubt(gateway, bench)
    with JournalLock(bench.folder / JOURNAL) as lock:
        lock.acquire(0)
        ended = resolve(bench, "latest", "failed")
    assert ended.code == 75
    assert "another run holds the journal" in ended.err


def test_the_journal_is_found_by_its_path_or_its_manifest(gateway: Gateway, bench: Bench):
    in_doubt(gateway, bench)
    missing = resolve(bench, "latest", "failed", "--journal", "nowhere.db")
    assert missing.code == 2
    assert not (bench.folder / "nowhere.db").exists()
    assert resolve(bench, "latest", "failed", "--manifest", "batch.yaml", "--env", "x").code == 3
    assert resolve(bench, "latest", "failed", "--manifest", "batch.yaml").code == 0


def test_a_settled_doubt_calls_again_whom_it_concerns(gateway: Gateway, bench: Bench):
    """The outbox row is owed from the word on; the next apply's courier delivers what is wanted."""
    told = {"url": "http://127.0.0.1:9/hook", "allow_private": True, "on": ["transferred"]}
    deaf = told | {"on": ["rejected"]}
    fields = {"callbacks": {"wants": told, "deaf": deaf}}
    defaults = {"media": "voice", "callbacks": ["wants", "deaf"]}
    doubtful = transfer(key="vip")
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    content = manifest(gateway, [doubtful]) | fields | {"defaults": defaults}
    bench.apply(content)
    assert "2 callbacks owed" in resolve(bench, "latest", "transferred").out
    with sqlite3.connect(bench.folder / JOURNAL) as connection:
        owed = connection.execute("SELECT callback, outcome, run, body FROM outbox").fetchall()
    assert [row[:3] for row in owed] == [("wants", "transferred", 0), ("deaf", "transferred", 0)]
    assert json.loads(owed[0][3])["key"] == "vip"
    bench.run("apply", "batch.yaml", "--env", "foreign")
    with sqlite3.connect(bench.folder / JOURNAL) as connection:
        states = connection.execute("SELECT callback, attempts > 0, state FROM outbox").fetchall()
    assert dict((name, tried) for name, tried, _ in states) == {"wants": 1, "deaf": 0}
    assert ("deaf", 0, "suppressed") in states


def test_other_destinations_wait_until_it_is_settled(gateway: Gateway, bench: Bench):
    [told] = in_doubt(gateway, bench).report.json["transfers"]
    elsewhere = manifest(gateway, [transfer(told["interaction_id"], ELSEWHERE, key="vip")])
    assert bench.apply(elsewhere).code == 6
    assert resolve(bench, "latest", "failed").code == 0
    assert bench.apply(elsewhere).code == 0
    assert [effect.destination_uri for effect in gateway.effects] == [ELSEWHERE]
