"""`runner resolve`: a person's word settles a doubt, durably, and evidence overrides it."""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.app.resolve import Resolution, resolve
from runner.core.errors import Locked, UsageError
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event, State
from runner.journal.lock import JournalLock
from runner.journals import journal_at
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, MUTE_BUT_MOVED, Step
from tests.journal.builders import (
    Written,
    asked,
    begun,
    chain_is_whole,
    located,
    manifest_rows,
    opened,
)

SEEN = "seen in the console"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


@pytest.fixture
def run(journal: Path) -> Iterator[Written]:
    """Write a run with `k0` in doubt, `k1` carried out, `k2` never delivered, `k3` under way."""
    store = opened(journal)
    written = begun(store, manifest_rows(4, callbacks=("crm",)))
    written.go("k0", Event.INTENT, Event.LOST, reason="no reply within 10 s")
    written.go("k1", Event.INTENT, Event.ACCEPTED)
    written.go("k3", Event.INTENT)
    yield written
    store.close()


def state_of(journal: Path, run: str, key: str) -> State:
    with journal_at(located(journal)).open_history() as history:
        found = history.find_by_key(history.run(run), key)
        assert found is not None
        return found.state


@pytest.mark.parametrize(
    ("word", "state"),
    [(Resolution.TRANSFERRED, State.TRANSFERRED), (Resolution.FAILED, State.FAILED)],
)
def test_a_word_settles_it_and_is_journalled(
    journal: Path, run: Written, word: Resolution, state: State
):
    """Who, when and why, in one transaction with the callback; outside a run, as run 0."""
    resolved = resolve(located(journal), run.store.run_id, "k0", word, SEEN)
    assert state_of(journal, "latest", "k0") is state
    assert resolved.outcome == Outcome(word.value)
    assert resolved.doubts_left == 1  # k3, which was found under way and is in doubt now
    [(number, body)] = asked(
        journal, "SELECT run, body FROM events WHERE body LIKE '%resolved by a person%'"
    )
    told = json.loads(body)
    assert number == 0
    assert told["at"].endswith("Z")
    assert {name: told[name] for name in ("user", "host", "reason", "of_run", "as", "key")} == {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "reason": SEEN,
        "of_run": run.store.run_id,
        "as": word.value,
        "key": "k0",
    }
    [(callback, outcome, owed)] = asked(journal, "SELECT callback, outcome, body FROM outbox")
    assert (callback, outcome) == ("crm", word.value)
    assert json.loads(owed)["run"] == run.store.run_id
    assert chain_is_whole(journal)


def test_what_a_dead_run_left_under_way_can_be_settled(journal: Path, run: Written):
    resolve(located(journal), run.store.run_id, "k3", Resolution.FAILED, SEEN)
    assert state_of(journal, "latest", "k3") is State.FAILED
    assert state_of(journal, "latest", "k0") is State.UNKNOWN


def test_any_run_whose_row_claims_it_may_be_named(journal: Path, run: Written):
    first = run.store.run_id
    later = begun(run.store, manifest_rows(1))
    resolved = resolve(located(journal), later.store.run_id, "k0", Resolution.TRANSFERRED, SEEN)
    assert resolved.found.run == first


def test_a_key_that_stands_for_another_by_now_settles_whom_it_stands_for(
    journal: Path, run: Written
):
    """The rows' keys were changed over between the runs; the report and `status` name the new ones."""
    first = run.store.run_id
    rows = manifest_rows(4, callbacks=("crm",))
    keys = {"i0": "k3", "i3": "k0"}
    begun(run.store, [replace(row, key=keys.get(row.interaction_id, row.key)) for row in rows])
    resolved = resolve(located(journal), "latest", "k3", Resolution.TRANSFERRED, SEEN)
    assert (resolved.found.row.interaction_id, resolved.key) == ("i0", "k3")
    assert (resolved.found.run, resolved.found.row.key) == (first, "k0")
    with journal_at(located(journal)).open_history() as history:
        [held] = history.held_by_run(history.run("latest").no, 9)
    assert (held.key, held.interaction_id) == ("k0", "i3")
    [(owed,)] = asked(journal, "SELECT body FROM outbox")
    assert (json.loads(owed)["run"], json.loads(owed)["key"]) == (first, "k0")
    with pytest.raises(UsageError, match="is not in doubt: it is transferred"):
        resolve(located(journal), "latest", "k3", Resolution.FAILED, SEEN)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("latest", "k1", SEEN), r"k1 of run run-\d+ is not in doubt: it is transferred"),
        (("latest", "k2", SEEN), "it was never delivered; the next apply sends it"),
        (("latest", "k00", SEEN), "has no key k00; in doubt there: k0, k3$"),
        (("latest", "something", SEEN), "in doubt there: k0, k3"),
        (("20270115T080000Z-0a1b2c", "k0", SEEN), "the newest are: run-"),
        (("latest", "k0", " "), "--reason is empty; state what you saw"),
        (("latest", "k0", "\udcff"), "--reason is not UTF-8"),
    ],
)
def test_what_cannot_be_meant_teaches_and_changes_nothing(
    journal: Path, run: Written, words: tuple[str, str, str], told: str
):
    before, (run_id, key, reason) = run.store.head, words
    with pytest.raises(UsageError, match=told):
        resolve(located(journal), run_id, key, Resolution.FAILED, reason)
    assert asked(journal, "SELECT hash FROM events ORDER BY seq DESC LIMIT 1") == [(before,)]


def test_a_mistyped_run_is_offered_the_nearest(journal: Path, run: Written):
    with pytest.raises(UsageError, match=f"did you mean {run.store.run_id}[?]"):
        resolve(located(journal), run.store.run_id + "x", "k0", Resolution.FAILED, SEEN)


@pytest.mark.usefixtures("run")
def test_what_is_settled_is_not_settled_again(journal: Path):
    resolve(located(journal), "latest", "k0", Resolution.FAILED, SEEN)
    with pytest.raises(UsageError, match=f"it is failed .resolved as failed by .*: {SEEN}"):
        resolve(located(journal), "latest", "k0", Resolution.TRANSFERRED, SEEN)


@pytest.mark.usefixtures("run")
def test_while_a_run_holds_the_journal_it_is_refused(journal: Path):
    with JournalLock(journal) as lock:
        lock.acquire(0)
        with pytest.raises(Locked):
            resolve(located(journal), "latest", "k0", Resolution.FAILED, SEEN)
    assert state_of(journal, "latest", "k0") is State.UNKNOWN


def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path):
    with pytest.raises(UsageError, match=r"there is no journal .*nowhere.db: nothing was applied"):
        resolve(located(tmp_path / "nowhere.db"), "latest", "k0", Resolution.FAILED, SEEN)
    assert list(tmp_path.iterdir()) == []


def test_the_command_settles_what_apply_then_sends_or_leaves_alone(
    gateway: Gateway, harness: Harness
):
    """`said` is left alone; `wrong` was moved, which the look-up shows, whatever the person said."""
    said, wrong, told = transfer(key="said"), transfer(key="wrong"), transfer(key="told")
    scripts = {"said": [MUTE], "wrong": [MUTE_BUT_MOVED], "told": [MUTE, Step()]}
    for each in (said, wrong, told):
        gateway.scripts[each["interaction_id"]] = scripts[each["key"]]
    gateway.shows_effects = False
    content = manifest(gateway, [said, wrong, told])
    applied = harness.apply(content)
    assert applied.code == 6
    run = applied.report.run["id"]
    for key, word in (("said", "transferred"), ("wrong", "failed"), ("told", "failed")):
        ended = harness.run("resolve", run, key, "--as", word, "--reason", SEEN)
        assert ended.code == 0, ended.err
        assert f"resolved: {key} of run {run} is {word}" in ended.out
    gateway.show_effects()
    content["policy"]["negotiation_timeout"] = "60s"  # nothing is to be in doubt again
    again = harness.run("apply", harness.write(content), "--output", "json")
    assert json.loads(again.out)["counts"] == dict.fromkeys(Outcome, 0) | {
        "transferred": 2,
        "unchanged": 1,
    }
    assert [len(gateway.deliveries(each["interaction_id"])) for each in (said, wrong, told)] == [
        1,
        1,
        2,
    ]
    assert len(gateway.effects) == 2
    assert harness.run("audit", "verify", run).code == 0


def test_a_settled_doubt_calls_whom_it_concerns(gateway: Gateway, harness: Harness):
    """The next apply delivers what is owed, and suppresses what the manifest's `on` leaves out."""
    wants = {"url": "http://127.0.0.1:9/hook", "allow_private": True, "on": ["transferred"]}
    doubtful = transfer(key="vip")
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    content = manifest(gateway, [doubtful]) | {
        "callbacks": {"wants": wants, "deaf": wants | {"on": ["rejected"]}},
        "defaults": {"media": "voice", "callbacks": ["wants", "deaf"]},
    }
    assert harness.apply(content).code == 6
    word = ("--as", "transferred", "--reason", SEEN, "--manifest", "batch.yaml")
    assert "2 callbacks owed" in harness.run("resolve", "latest", "vip", *word).out
    assert harness.run("apply", "batch.yaml").code == 0
    states = asked(
        harness.folder / ".runner" / "foreign.db",
        "SELECT callback, state, attempts > 0 FROM outbox ORDER BY no",
    )
    assert [row[2] for row in states] == [1, 0]
    assert states[1] == ("deaf", "suppressed", 0)
