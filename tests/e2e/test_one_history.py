"""One gateway has one history on a host, whatever names and paths lead to it (recovery.md)."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import PATIENCE_S, Ended, Harness, manifest, transfer
from tests.foreign.gateway import CLIENT_ID, Gateway
from tests.foreign.script import Step
from tests.foreign.wire import WebResponse

PATIENT = {"policy": {"preflight": False, "negotiation_timeout": "60s"}}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "runner" / "gateways"


def folder(harness: Harness, name: str) -> Harness:
    (harness.folder / name).mkdir()
    return Harness(harness.folder / name, harness.env)


def in_two_environments(gateway: Gateway, transfers: list[dict[str, Any]]) -> dict[str, Any]:
    content = manifest(gateway, transfers)
    same = content["environments"]["foreign"]
    return content | {"environments": {"foreign": same, "second": same}}


def refused(ended: Ended, *words: str) -> None:
    assert ended.code == 74, ended
    for word in words:
        assert word in ended.err, ended.err


def last_run(harness: Harness) -> str:
    return str(harness.newest_report().run["id"])


def test_of_two_journals_that_refuse_each_other_one_way_leads_out(
    gateway: Gateway, harness: Harness
):
    """The night batch was carried with the first journal, another one since with the second."""
    night = manifest(gateway, [transfer("i-1")], name="night")
    assert harness.apply(night, "--journal", "1.db").code == 0
    other = harness.write(manifest(gateway, [transfer("i-2")], name="other"), "other.yaml")
    assert harness.run("apply", other, "--journal", "2.db", "--new-history").code == 0
    second = str((harness.folder / "2.db").resolve())
    for journal in ("1.db", "2.db", "3.db"):
        ended = harness.run("apply", "batch.yaml", "--journal", journal)
        refused(ended, "is in two journals", f"--journal {second} --new-history")
    night["transfers"].append(transfer("i-3"))
    assert harness.apply(night, "--journal", "2.db", "--new-history", "--only", "i-3").code == 0
    assert harness.apply(night, "--journal", "2.db", "--only", "i-3").code == 0


def test_a_second_environment_of_a_known_gateway_is_refused(gateway: Gateway, harness: Harness):
    content = in_two_environments(gateway, [transfer() for _ in range(3)])
    first = harness.apply(content)
    assert first.code == 0, first.ended.err
    journal = str((harness.folder / ".runner" / "foreign.db").resolve())
    for command in ("apply", "plan"):
        other = harness.run(command, "batch.yaml", "--env", "second")
        refused(other, journal, last_run(harness), "--new-history")
    assert [path.name for path in (harness.folder / ".runner").glob("second.db*")] == []
    assert len(gateway.effects) == 3
    shared = harness.run("apply", "batch.yaml", "--env", "second", "--journal", journal)
    assert shared.code == 0, shared.err
    assert len(gateway.effects) == 3


def test_the_offered_option_is_one_that_a_shell_reads(gateway: Gateway, harness: Harness):
    """The folder's name has a blank."""
    spaced = folder(harness, "night shift")
    content = manifest(gateway, [transfer()])
    assert spaced.apply(content).code == 0
    other = spaced.run("apply", "batch.yaml", "--journal", "other.db")
    journal = str((spaced.folder / ".runner" / "foreign.db").resolve())
    refused(other, f"Name it with --journal '{journal}', or")


def test_new_history_moves_the_registry_to_the_new_journal(gateway: Gateway, harness: Harness):
    content = in_two_environments(gateway, [transfer()])
    harness.apply(content)
    anew = harness.run("apply", "batch.yaml", "--env", "second", "--new-history")
    assert anew.code == 0, anew.err
    assert len(gateway.effects) == 2
    again = harness.run("apply", "batch.yaml", "--env", "second")
    assert again.code == 0, again.err
    refused(harness.run("apply", "batch.yaml", "--env", "foreign"), "second.db")


def test_two_environments_of_a_gateway_do_not_run_beside_each_other(
    gateway: Gateway, harness: Harness
):
    """Measured before: 54 of 60 were moved twice."""
    transfers = [transfer() for _ in range(60)]
    harness.write(in_two_environments(gateway, transfers) | {"policy": {"preflight": True}})
    commands = [["apply", "batch.yaml", "--env", name] for name in ("foreign", "second")]
    ended = harness.run_together(*commands)
    codes = sorted(each.code for each in ended)
    assert codes in ([0, 74], [0, 75]), ended
    assert len(gateway.effects) == 60


def test_the_run_that_holds_the_gateway_is_named(gateway: Gateway, harness: Harness):
    gateway.default = Step(until="go")
    harness.write(in_two_environments(gateway, [transfer()]) | PATIENT)
    with harness.started("apply", "batch.yaml") as process:
        gateway.wait_until(lambda: len(gateway.frames) == 1)
        other = harness.run("apply", "batch.yaml", "--env", "second")
        assert other.code == 75, other
        assert f"process {process.pid}" in other.err
        assert "another run holds the gateway ws://127.0.0.1" in other.err
        gateway.release("go")
        waiting = harness.run("apply", "batch.yaml", "--env", "second", "--lock-timeout", "30s")
        refused(waiting, "foreign.db")


@pytest.mark.parametrize("reports", [True, False])
def test_a_copied_folder_is_refused(gateway: Gateway, harness: Harness, reports: bool):  # noqa: FBT001
    """By the registry; and by the report folder, where it was copied along."""
    original = folder(harness, "original")
    content = manifest(gateway, [transfer()])
    assert original.apply(content).code == 0
    copied = Harness(harness.folder / "copied")
    shutil.copytree(original.folder, copied.folder, symlinks=True)
    if reports:
        copied.env["XDG_STATE_HOME"] = str(harness.folder / "elsewhere")
    else:
        shutil.rmtree(copied.folder / "reports")
    original_journal = str((original.folder / ".runner" / "foreign.db").resolve())
    added = content | {"transfers": [*content["transfers"], transfer()]}
    copied.write(added)
    refused(copied.run("apply", "batch.yaml"), "is a copy of", original_journal)
    assert original.apply(added).code == 0
    assert len(gateway.effects) == 2


def test_a_moved_folder_goes_on(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer()])
    assert folder(harness, "before").apply(content).code == 0
    (harness.folder / "before").rename(harness.folder / "after")
    after = Harness(harness.folder / "after")
    again = after.apply(content)
    assert again.code == 0, again.ended.err
    assert again.report.summary["unchanged"] == 1


def test_a_journal_that_is_older_than_the_registry_knows_is_refused(
    gateway: Gateway, harness: Harness
):
    """Restored from a copy, and the reports with it."""
    content = manifest(gateway, [transfer()])
    harness.apply(content)
    shutil.copytree(harness.folder / ".runner", harness.folder / "backup")
    harness.apply(content | {"transfers": [*content["transfers"], transfer()]})
    shutil.rmtree(harness.folder / ".runner")
    shutil.rmtree(harness.folder / "reports")
    (harness.folder / "backup").rename(harness.folder / ".runner")
    refused(harness.run("apply", "batch.yaml"), "is older than what run")
    assert len(gateway.effects) == 2


@pytest.mark.parametrize("reports", [True, False])
def test_a_copy_from_the_midst_of_a_run_that_was_killed_is_refused(
    gateway: Gateway,
    harness: Harness,
    state: Path,
    reports: bool,  # noqa: FBT001 - a case
):
    first, second, third = (transfer() for _ in range(3))
    for n, one in enumerate([second, third]):
        gateway.scripts[one["interaction_id"]] = [Step(until=f"answer {n}")]
    content = manifest(gateway, [first, second, third])
    content |= {"policy": {"preflight": False, "negotiation_timeout": "1h"}}
    content["environments"]["foreign"]["limits"] = {"in_flight": 1}
    harness.write(content)
    journal, copy = harness.folder / ".runner" / "foreign.db", harness.folder / "copy.db"
    with harness.started("apply", "batch.yaml") as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", [str(copy)])
            ((copied,),) = connection.execute("SELECT max(seq) FROM events")
        gateway.release("answer 0")
        gateway.wait_until(lambda: len(gateway.frames) == 3)
        (entry,) = state.glob("*.json")
        eventually(lambda: json.loads(entry.read_bytes())["seq"] > copied)
        assert process.poll() is None  # else it would be the head that the run left at its end
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    for suffix in ("-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)
    copy.replace(journal)
    entry.unlink() if reports else shutil.rmtree(harness.folder / "reports")
    refused(harness.run("apply", "batch.yaml"), "is older than")
    assert len(gateway.effects) == 3


def eventually(true: Callable[[], bool]) -> None:
    """Ask again until something is true."""
    ends_at = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends_at


def test_a_symlinked_manifest_has_the_journal_of_its_real_path(gateway: Gateway, harness: Harness):
    real, other = folder(harness, "real"), folder(harness, "other")
    assert real.apply(manifest(gateway, [transfer()])).code == 0
    (other.folder / "batch.yaml").symlink_to(real.folder / "batch.yaml")
    again = other.run("apply", "batch.yaml")
    assert again.code == 0, again.err
    assert not (other.folder / ".runner").exists()
    assert len(gateway.effects) == 1


def test_a_journal_is_one_by_whatever_link(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer()])
    assert harness.apply(content).code == 0
    (harness.folder / "link.db").symlink_to(harness.folder / ".runner" / "foreign.db")
    linked = harness.run("apply", "batch.yaml", "--journal", "link.db")
    assert linked.code == 0, linked.err
    assert not (harness.folder / "link.db.lock").exists()
    assert len(gateway.effects) == 1


def test_a_journal_with_two_names_is_refused(gateway: Gateway, harness: Harness):
    harness.apply(manifest(gateway, [transfer()]))
    journal = harness.folder / ".runner" / "foreign.db"
    os.link(journal, harness.folder / "second.db")
    for name in (journal, harness.folder / "second.db"):
        refused(harness.run("apply", "batch.yaml", "--journal", name), "2 names (hard links)")


def test_a_journal_that_is_renamed_in_the_midst_of_a_run_is_still_held(
    gateway: Gateway, harness: Harness
):
    gateway.default = Step(until="go")
    harness.write(manifest(gateway, [transfer()]) | PATIENT)
    with harness.started("apply", "batch.yaml") as process:
        gateway.wait_until(lambda: len(gateway.frames) == 1)
        for suffix in ("", "-wal", "-shm"):
            name = harness.folder / ".runner" / f"foreign.db{suffix}"
            name.rename(harness.folder / f"renamed.db{suffix}")
        elsewhere = {"XDG_STATE_HOME": str(harness.folder / "elsewhere")}
        other = Harness(harness.folder, elsewhere).run(
            "apply", "batch.yaml", "--journal", "renamed.db", "--new-history"
        )
        assert other.code == 75, other
        assert "under another name" in other.err
        gateway.release("go")
        process.communicate(timeout=PATIENCE_S)
    assert len(gateway.effects) == 1


def test_another_account_of_the_gateway_has_a_history_of_its_own(
    gateway: Gateway, harness: Harness
):
    """Two organisations of one platform share its address."""
    content = manifest(gateway, [transfer()])
    harness.apply(content)
    other = folder(harness, "other")
    other.write(content)
    planned = Harness(other.folder, {"FOREIGN_ID": "another"}).run("plan", "batch.yaml")
    assert planned.code == 0, planned.err
    refused(other.run("plan", "batch.yaml"), "foreign.db")


def test_a_journal_without_moves_is_not_a_history(gateway: Gateway, harness: Harness):
    gateway.token_answers = [WebResponse(401, {"error": "invalid_client"})]
    assert harness.apply(manifest(gateway, [transfer()])).code == 4
    other = folder(harness, "other").apply(manifest(gateway, [transfer()]))
    assert other.code == 0, other.ended.err


def test_the_registry_is_private_and_shows_no_account(
    gateway: Gateway, harness: Harness, state: Path
):
    harness.apply(manifest(gateway, [transfer()]))
    entries = sorted(state.iterdir())
    assert [entry.suffix for entry in entries] == [".json", ".lock"]
    assert {entry.stat().st_mode & 0o777 for entry in entries} == {0o600}
    assert state.stat().st_mode & 0o777 == 0o700
    assert CLIENT_ID not in "".join(map(str, entries)) + entries[0].read_text()
    known = json.loads(entries[0].read_text())
    assert known["run"] == last_run(harness)


@pytest.mark.parametrize("env", [{"XDG_STATE_HOME": "", "HOME": "/proc/none"}])
def test_without_a_state_folder_that_is_said_once(
    gateway: Gateway, harness: Harness, env: Mapping[str, str]
):
    harness.env.update(env)
    applied = harness.apply(manifest(gateway, [transfer()]), "--log-format", "json")
    assert applied.code == 0, applied.ended.err
    assert applied.ended.err.count("no state folder") == 1


def test_a_damaged_entry_is_refused_by_name(gateway: Gateway, harness: Harness, state: Path):
    harness.apply(manifest(gateway, [transfer()]))
    (entry,) = state.glob("*.json")
    entry.write_text("{")
    refused(harness.run("apply", "batch.yaml"), str(entry))
    assert harness.run("apply", "batch.yaml", "--new-history").code == 0
    assert harness.run("apply", "batch.yaml").code == 0


def test_every_witness_counts_whatever_its_clock_says(gateway: Gateway, harness: Harness):
    """A clock that was set back between two runs hid the later one."""
    content = manifest(gateway, [transfer()])
    harness.apply(content)
    shutil.copytree(harness.folder / ".runner", harness.folder / "backup")
    harness.apply(content | {"transfers": [*content["transfers"], transfer()]})
    witness = harness.newest_report().folder / "journal.json"
    result = json.loads(witness.read_text())
    witness.write_text(json.dumps(result | {"at": 0.0}))
    shutil.rmtree(harness.folder / ".runner")
    shutil.rmtree(harness.folder / "state")
    (harness.folder / "backup").rename(harness.folder / ".runner")
    refused(harness.run("apply", "batch.yaml"), result["run"], "is older than that")
    accepted = harness.run("apply", "batch.yaml", "--new-history")
    assert accepted.code == 0, accepted.err
    again = harness.run("apply", "batch.yaml")  # it was said once, and is not asked again
    assert again.code == 0, again.err
