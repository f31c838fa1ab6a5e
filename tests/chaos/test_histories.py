"""Two runs, two batches, two manifests; a journal that is gone, or older than what was seen."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.harness import GatewayProcess, Workspace, names
from tests.chaos.tally import Tally, judge

Open = Callable[..., tuple[GatewayProcess, Workspace]]
SLOW = {"in_flight": 8, "rate": "60/s"}
JOURNAL = Path(".runner") / "foreign.db"


def _sending(gateway: GatewayProcess, running: Any) -> None:
    assert gateway.wait_for(lambda: gateway.counts["arrived"] > 0, running=running)


def test_a_second_run_is_told_who_holds_the_journal(
    open_workspace: Open, check: Callable[[Tally], None]
):
    """75 at once, naming the process; the first run goes on as if nothing were."""
    gateway, workspace = open_workspace()
    expected = names(120)
    path = workspace.write(expected, limits=SLOW)
    with workspace.started(path) as first:
        _sending(gateway, first)
        second = workspace.apply(path)
        assert second.code == 75
        assert str(first.process.pid) in second.out + second.err
        assert "--lock-timeout" in second.out + second.err
        assert first.process.poll() is None, "it ended too soon to show anything"
        assert first.ended().code == 0
    check(judge("two runs of one batch, refused", 1, gateway, workspace, expected))


@pytest.mark.parametrize("batch", ["batch", "renamed"])
def test_a_queued_run_plans_by_what_the_first_has_done(
    open_workspace: Open, check: Callable[[Tally], None], batch: str
):
    """The same batch, or the same transfers under another name: lock first, plan second."""
    gateway, workspace = open_workspace()
    expected = names(120)
    path = workspace.write(expected, limits=SLOW)
    with workspace.started(path) as first:
        _sending(gateway, first)
        again = workspace.write(expected, batch=batch, limits=SLOW)
        with workspace.started(again, "--lock-timeout", "60s") as second:
            assert first.ended().code == 0
            assert second.ended().code == 0
    told = workspace.report(batch)
    assert {each["outcome"] for each in told.json["transfers"]} == {"unchanged"}
    check(judge(f"two runs at once, queued ({batch})", 1, gateway, workspace, expected))


def test_manifests_that_share_interactions_move_each_once(
    open_workspace: Open, check: Callable[[Tally], None]
):
    """Four at once, each overlapping the next by half, the first killed while it holds the lock."""
    gateway, workspace = open_workspace(promise="dedupes")
    everyone = names(200)
    paths = [
        workspace.write(
            everyone[n * 40 : n * 40 + 80], promise="dedupes", batch=f"part-{n}", limits=SLOW
        )
        for n in range(4)
    ]
    with workspace.started(paths[0]) as first:
        _sending(gateway, first)
        with (
            workspace.started(paths[1], "--lock-timeout", "60s") as second,
            workspace.started(paths[2], "--lock-timeout", "60s") as third,
            workspace.started(paths[3], "--lock-timeout", "60s") as fourth,
        ):
            first.process.kill()
            # Each also tells of the doubts that the killed one left and that it does not list: 6.
            codes = {running.ended().code for running in (second, third, fourth)}
    assert codes <= {0, 6}
    assert workspace.apply(paths[0]).code == 0
    everything = workspace.write(everyone, promise="dedupes")
    assert workspace.apply(everything).code == 0
    tally = judge("four manifests at once, one killed", 1, gateway, workspace, everyone)
    check(tally)
    assert tally.moved == 200


def test_a_deleted_journal_is_missed(open_workspace: Open, check: Callable[[Tally], None]):
    """74 before anything is sent, naming the way out; with --new-history it is a person's word."""
    gateway, workspace = open_workspace()
    expected = names(20)
    path = workspace.write(expected)
    assert workspace.apply(path).code == 0
    shutil.rmtree(workspace.folder / ".runner")
    refused = workspace.apply(path)
    assert refused.code == 74, refused
    assert "--new-history" in refused.out + refused.err
    assert workspace.apply(path, "--validate-only").code == 74  # the dry run tells what apply would
    assert gateway.counts["arrived"] == 20
    check(judge("journal deleted", 1, gateway, workspace, expected))
    assert workspace.apply(path, "--new-history", "--limit", "0").code == 0
    assert gateway.counts["arrived"] == 20


@pytest.mark.parametrize("promise", ["nothing", "dedupes"])
def test_a_journal_restored_from_a_copy_is_noticed(
    open_workspace: Open, check: Callable[[Tally], None], promise: str
):
    """The copy is sound, and knows nothing of what was sent since: 74, nothing sent."""
    gateway, workspace = open_workspace(promise=promise)
    expected = names(40)
    assert workspace.apply(workspace.write(expected[:20], promise=promise)).code == 0
    copy = workspace.folder / "copy"
    shutil.copytree(workspace.folder / ".runner", copy)
    path = workspace.write(expected, promise=promise)
    assert workspace.apply(path).code == 0
    shutil.rmtree(workspace.folder / ".runner")
    shutil.copytree(copy, workspace.folder / ".runner")
    refused = workspace.apply(path)
    assert refused.code == 74, refused
    assert "foreign.db" in refused.out + refused.err
    assert gateway.counts["arrived"] == 40
    check(judge(f"journal restored from a copy ({promise})", 1, gateway, workspace, expected))


def test_a_journal_restored_after_a_kill_is_noticed_too(open_workspace: Open):
    """The run that was killed left no report, yet what it saw of the journal was written first."""
    gateway, workspace = open_workspace()
    expected = names(60)
    assert workspace.apply(workspace.write(expected[:20])).code == 0
    copy = workspace.folder / "copy"
    shutil.copytree(workspace.folder / ".runner", copy)
    path = workspace.write(expected, limits=SLOW)
    with workspace.started(path) as running:
        _sending(gateway, running)
        gateway.wait_for(lambda: gateway.counts["arrived"] >= 30, running=running)
        running.process.kill()
    shutil.rmtree(workspace.folder / ".runner")
    shutil.copytree(copy, workspace.folder / ".runner")
    before = gateway.counts["arrived"]
    refused = workspace.apply(path)
    assert refused.code == 74, refused
    assert gateway.counts["arrived"] == before
    assert max(gateway.moves().values()) == 1


def test_a_copy_that_was_made_while_a_run_went_on_is_noticed(
    open_workspace: Open, check: Callable[[Tally], None]
):
    """It is sound, and holds the run's beginning but nothing of what it sent after the copy."""
    gateway, workspace = open_workspace()
    expected = names(60)
    path = workspace.write(expected, limits=SLOW)
    copy = workspace.folder / "copy.db"
    with workspace.started(path) as running:
        gateway.wait_for(lambda: gateway.counts["arrived"] >= 10, running=running)
        with (
            closing(sqlite3.connect(workspace.folder / ".runner" / "foreign.db")) as journal,
            closing(sqlite3.connect(copy)) as target,
        ):
            journal.backup(target)
        assert running.ended().code == 0
    shutil.rmtree(workspace.folder / ".runner")
    (workspace.folder / ".runner").mkdir()
    copy.rename(workspace.folder / ".runner" / "foreign.db")
    refused = workspace.apply(path)
    assert refused.code == 74, refused
    assert gateway.counts["arrived"] == 60
    check(judge("journal copied during a run and restored", 1, gateway, workspace, expected))
