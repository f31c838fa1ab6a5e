"""`runner revert`: an undo moves back what its run moved, once, and the next run leaves it there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.app.revert import revert
from runner.core.errors import UsageError
from runner.core.transfer.states import Event
from runner.journal.lock import JournalLock
from tests.e2e.harness import ELSEWHERE, HERE, Applied, Ended, Harness, ids, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, MUTE_BUT_MOVED, Interaction, Step
from tests.journal.builders import begun, located, manifest_rows, opened

BEFORE = "genesys://queue/where-it-was"


def waiting(gateway: Gateway, *transfers: dict[str, Any]) -> None:
    """Let interactions wait in a queue, so that nobody is serving them."""
    for name in ids(transfers):
        gateway.interactions[name] = Interaction(name, "queued")


def written(harness: Harness, run: str, out: str = "undo.yaml", *options: str) -> dict[str, Any]:
    """Write an undo; return what the command says of it."""
    ended = harness.run("revert", run, "--out", out, "--manifest", "batch.yaml", *options,
                        "--output", "json")  # fmt: skip
    assert ended.code == 0, ended
    result: dict[str, Any] = json.loads(ended.out)
    return result


def applied(harness: Harness, name: str, *options: str) -> Applied:
    ended = harness.run("apply", name, *options)
    report = harness.report(harness.folder / ended.out.rpartition("\nreport: ")[2].strip())
    report.check(ended.code)
    return Applied(ended, report)


def places(gateway: Gateway, transfers: list[dict[str, Any]]) -> list[list[str]]:
    return [[effect.destination_uri for effect in gateway.moves(name)] for name in ids(transfers)]


def test_an_undo_carries_back_and_the_next_run_of_the_batch_leaves_it_there(
    gateway: Gateway, harness: Harness
):
    transfers = [transfer(), transfer()]
    waiting(gateway, *transfers)
    content = manifest(gateway, transfers, preflight=True)
    first = harness.apply(content)
    run = first.report.run["id"]
    assert written(harness, "latest")["reverted"] == 2
    undone = applied(harness, "undo.yaml")
    assert undone.code == 0, undone.ended.err
    assert undone.report.run["reverts"] == run
    assert set(undone.outcomes().values()) == {"transferred"}
    cron = harness.apply(content)
    assert cron.code == 0
    assert set(cron.outcomes().values()) == {"skipped"}
    for each in cron.report.json["transfers"]:
        assert each["reason_code"] == "reverted"
        assert undone.report.run["id"] in each["reason"]
    assert places(gateway, transfers) == [[HERE, BEFORE]] * 2
    other = harness.apply(content | {"name": "another"})
    assert set(other.outcomes().values()) == {"skipped"}
    again = harness.apply(content, "--again")
    assert set(again.outcomes().values()) == {"transferred"}
    assert places(gateway, transfers) == [[HERE, BEFORE, HERE]] * 2


def test_an_undo_applied_twice_or_written_twice_moves_nobody_twice(
    gateway: Gateway, harness: Harness
):
    transfers = [transfer(), transfer()]
    waiting(gateway, *transfers)
    run = harness.apply(manifest(gateway, transfers, preflight=True)).report.run["id"]
    written(harness, run)
    written(harness, run, "second.yaml")
    applied(harness, "undo.yaml")
    for name in ("undo.yaml", "second.yaml"):
        assert set(applied(harness, name).outcomes().values()) == {"unchanged"}
    late = written(harness, run, "third.yaml")
    assert (late["reverted"], late["left_out"]) == (0, {"carried_back": 2})
    assert applied(harness, "third.yaml").code == 0  # it has no rows, and moves nobody
    assert set(applied(harness, "undo.yaml", "--again").outcomes().values()) == {"skipped"}
    assert places(gateway, transfers) == [[HERE, BEFORE]] * 2


def test_a_run_that_moved_nothing_has_no_undo_and_the_one_that_did_is_named(
    gateway: Gateway, harness: Harness
):
    """`latest` at four in the morning is the last look that found nothing to do."""
    one = transfer()
    waiting(gateway, one)
    content = manifest(gateway, [one], preflight=True)
    run = harness.apply(content).report.run["id"]
    nothing = harness.apply(content).report.run["id"]
    ended = refused(harness, "latest", "--out", "undo.yaml")
    assert f"run {nothing} moved nothing" in ended.err
    assert f"that moved somebody is {run} (batch batch, " in ended.err
    assert written(harness, run)["reverted"] == 1


def test_an_undo_can_be_undone_and_the_first_undo_is_then_over(gateway: Gateway, harness: Harness):
    transfers = [transfer()]
    waiting(gateway, *transfers)
    content = manifest(gateway, transfers, preflight=True)
    harness.apply(content)
    written(harness, "latest")
    undone = applied(harness, "undo.yaml")
    written(harness, undone.report.run["id"], "redo.yaml")
    redone = applied(harness, "redo.yaml")
    assert set(redone.outcomes().values()) == {"transferred"}
    for name in ("undo.yaml", "redo.yaml"):
        assert set(applied(harness, name).outcomes().values()) <= {"skipped", "unchanged"}
    assert set(harness.apply(content).outcomes().values()) == {"unchanged"}
    assert places(gateway, transfers) == [[HERE, BEFORE, HERE]]


def test_what_another_batch_has_moved_on_since_stays_there(gateway: Gateway, harness: Harness):
    moved_on, stayed = transfer(), transfer()
    waiting(gateway, moved_on, stayed)
    content = manifest(gateway, [moved_on, stayed], preflight=True)
    run = harness.apply(content).report.run["id"]
    written(harness, run)
    harness.apply(content | {"name": "other", "transfers": [moved_on | {"destination_uri": ELSEWHERE}]})  # fmt: skip
    late = written(harness, run, "late.yaml")
    assert (late["reverted"], late["left_out"]) == (1, {"moved_on": 1})
    undone = applied(harness, "undo.yaml")
    assert undone.outcomes() == dict(zip(ids([moved_on, stayed]), ("skipped", "transferred"), strict=True))  # fmt: skip
    assert undone.report.by_id[moved_on["interaction_id"]]["reason_code"] == "moved_on"
    assert places(gateway, [moved_on, stayed]) == [[HERE, ELSEWHERE], [HERE, BEFORE]]


@pytest.mark.parametrize(
    ("now", "outcome", "code"),
    [
        (("queued", ELSEWHERE), "skipped", "moved_on"),
        (("active", HERE), "skipped", "being_served"),
        (("queued", None), "rejected", "destination_unseen"),
        (("completed", HERE), "skipped", "interaction_ended"),
        (("queued", BEFORE), "skipped", "already_there"),
    ],
)
def test_only_what_still_waits_where_the_run_left_it_is_moved(
    gateway: Gateway,
    harness: Harness,
    now: tuple[str, str | None],
    outcome: str,
    code: str,
):
    """Also without preflight; and what may change again is judged anew by the next run."""
    one = transfer()
    waiting(gateway, one)
    harness.apply(manifest(gateway, [one], preflight=True))
    written(harness, "latest")
    path = harness.folder / "undo.yaml"
    path.write_text(path.read_text().replace("preflight: true", "preflight: false"))
    seen = gateway.interactions[one["interaction_id"]]
    seen.state, seen.destination_uri, seen.last_transfer_id = *now, None
    undone = applied(harness, "undo.yaml")
    assert set(undone.outcomes().values()) == {outcome}
    assert undone.report.json["transfers"][0]["reason_code"] == code
    assert len(gateway.effects) == 1
    if code in {"moved_on", "being_served"}:
        seen.state, seen.destination_uri = "queued", HERE
        assert set(applied(harness, "undo.yaml").outcomes().values()) == {"transferred"}


def test_a_doubt_is_not_carried_back_before_it_is_settled(gateway: Gateway, harness: Harness):
    """Neither a doubt of the run, nor one of the undo: nothing is sent while it is open."""
    sure, doubtful = transfer(key="sure"), transfer(key="doubtful")
    waiting(gateway, sure, doubtful)
    gateway.shows_effects = False
    gateway.scripts[doubtful["interaction_id"]] = [MUTE_BUT_MOVED]
    content = manifest(gateway, [sure, doubtful], preflight=True)
    first = harness.apply(content)
    assert first.code == 6
    run = first.report.run["id"]
    result = written(harness, run)
    assert (result["reverted"], result["left_out"]) == (1, {"in_doubt": 1})
    settle = ("--as", "transferred", "--reason", "seen", "--manifest", "batch.yaml")
    assert harness.run("resolve", run, "doubtful", *settle).code == 0
    assert written(harness, run, "all.yaml")["reverted"] == 2
    for each in (sure, doubtful):  # look-ups show the truth again
        gateway.interactions[each["interaction_id"]].destination_uri = HERE
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    undone = applied(harness, "all.yaml")
    assert undone.outcomes() == {
        sure["interaction_id"]: "transferred",
        doubtful["interaction_id"]: "in_doubt",
    }
    sent = len(gateway.frames)
    for again in (applied(harness, "all.yaml"), applied(harness, "undo.yaml")):
        assert again.code == 6
    assert harness.apply(content).outcomes() == {
        sure["interaction_id"]: "skipped",
        doubtful["interaction_id"]: "in_doubt",
    }
    assert len(gateway.frames) == sent


def test_what_was_not_looked_up_before_is_counted_and_stays(gateway: Gateway, harness: Harness):
    apply_unseen(gateway, harness)
    result = written(harness, "latest")
    assert (result["reverted"], result["left_out"]) == (0, {"no_baseline": 1})
    assert result["next_steps"] == []


def test_what_an_earlier_run_sent_is_counted_and_that_run_is_named(
    gateway: Gateway, harness: Harness
):
    """The second run's report shows both as transferred; it sent one of them."""
    doubtful, late = transfer(key="doubtful"), transfer(key="late")
    waiting(gateway, doubtful, late)
    gateway.scripts[doubtful["interaction_id"]] = [MUTE]
    first = harness.apply(manifest(gateway, [doubtful], preflight=True))
    assert first.code == 6
    gateway.interactions[doubtful["interaction_id"]].destination_uri = HERE
    second = harness.apply(manifest(gateway, [doubtful, late], preflight=True))
    assert set(second.outcomes().values()) == {"transferred"}
    result = written(harness, "latest")
    assert (result["reverted"], result["left_out"]) == (1, {"sent_before": 1})
    assert result["earlier_runs"] == [first.report.run["id"]]
    assert written(harness, first.report.run["id"], "first.yaml")["reverted"] == 1


def test_a_run_that_goes_on_is_refused(tmp_path: Path):
    journal = tmp_path / "production.db"
    store = opened(journal)
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    with JournalLock(journal) as lock:
        lock.acquire(0)
        with pytest.raises(UsageError, match="goes on, and an undo would lack whom"):
            revert(located(journal), "latest", tmp_path / "undo.yaml", only=(), manifest=None)
    store.close()


def apply_unseen(gateway: Gateway, harness: Harness) -> None:
    """Apply a manifest without look-ups; again if the run looked up an intent that grew too old."""
    one = transfer()
    waiting(gateway, one)
    applied = harness.apply(manifest(gateway, [one], preflight=False))
    if applied.report.events()[Event.WITHDRAWN]:
        apply_unseen(gateway, harness)


def test_what_had_failed_is_no_part_of_an_undo(gateway: Gateway, harness: Harness):
    moved, refused = transfer(key="a"), transfer(key="b")
    waiting(gateway, moved, refused)
    gateway.scripts[refused["interaction_id"]] = [Step("transfer_rejected")]
    harness.apply(manifest(gateway, [moved, refused], preflight=True))
    result = written(harness, "latest")
    assert (result["reverted"], result["left_out"]) == (1, {})


def test_an_undo_keeps_the_media_the_callbacks_and_the_care_of_its_batch(
    gateway: Gateway, harness: Harness
):
    """The windows are left out: an undo is for now."""
    one = transfer(key="one", media="video", fallback=["narrow"], callbacks=["crm"])
    waiting(gateway, one)
    content = manifest(gateway, [one], preflight=True)
    content["callbacks"] = {"crm": {"url": "http://127.0.0.1:9/", "allow_private": True}}
    content["policy"] |= {"max_failures": "5%", "window": {"not_after": "2099-01-01T00:00:00Z"}}
    harness.apply(content)
    written(harness, "latest", "undo.yaml", "--only", "o*")
    undo = yaml.safe_load((harness.folder / "undo.yaml").read_text("utf-8"))
    assert undo["policy"] == {n: v for n, v in content["policy"].items() if n != "window"}
    for section in ("environments", "gateways", "callbacks"):
        assert undo[section] == content[section]
    [row] = map(json.loads, (harness.folder / "undo.jsonl").read_text("utf-8").splitlines())
    assert [undo["media"][name] for name in (row["media"], *row["fallback"])] == [
        content["media"]["video"],
        content["media"]["narrow"],
    ]
    assert row["callbacks"] == ["crm"]
    assert harness.run("plan", "undo.yaml").code == 0


@pytest.mark.parametrize("pattern", ["c-[!1]", "c-[^1]"])
def test_an_undo_of_some_is_of_those_that_a_plan_would_choose(
    gateway: Gateway, harness: Harness, pattern: str
):
    transfers = [transfer(key="c-1"), transfer(key="c-2")]
    waiting(gateway, *transfers)
    harness.apply(manifest(gateway, transfers, preflight=True))
    written(harness, "latest", "undo.yaml", "--only", pattern)
    rows = map(json.loads, (harness.folder / "undo.jsonl").read_text("utf-8").splitlines())
    assert [row["key"] for row in rows] == ["c-2"]


def refused(harness: Harness, *arguments: str) -> Ended:
    ended = harness.run("revert", *arguments, "--manifest", "batch.yaml")
    assert ended.code == 2, ended
    assert not (harness.folder / "undo.yaml").exists()
    assert not (harness.folder / "undo.jsonl").exists()
    return ended


def test_an_undo_goes_beside_its_manifest_and_overwrites_nothing(
    gateway: Gateway, harness: Harness, tmp_path: Path
):
    one = transfer(key="one")
    waiting(gateway, one)
    harness.apply(manifest(gateway, [one], preflight=True))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "beside" in refused(harness, "latest", "--out", str(elsewhere / "undo.yaml")).err
    assert "undo.yaml" in refused(harness, "latest", "--out", "undo.txt").err
    unmatched = refused(harness, "latest", "--out", "undo.yaml", "--only", "two")
    assert "--only two" in unmatched.err
    assert "no run nothing" in refused(harness, "nothing", "--out", "undo.yaml").err
    written(harness, "latest", "taken.yaml")
    assert "exists" in refused(harness, "latest", "--out", "taken.yaml").err


def test_an_undo_of_a_run_that_the_journal_does_not_know_is_refused(
    gateway: Gateway, harness: Harness
):
    one = transfer()
    waiting(gateway, one)
    content = manifest(gateway, [one | {"expected_destination_uri": BEFORE}])
    for command, run, message in (
        (
            "plan",
            "20261127T000000Z-000000",
            "no run 20261127T000000Z-000000; there is no journal yet",
        ),
        ("apply", "20261127T000000Z-000000", "no run 20261127T000000Z-000000 in this journal"),
        ("apply", "latest", "`reverts` needs the id of a run, and `latest` is none"),
    ):
        path = harness.write(content | {"reverts": run})
        ended = harness.run(command, path)
        assert ended.code == 3
        assert message in ended.err
        assert re.search(rf"batch.yaml:\d+:\d+\n.*\n\d+ \| reverts: .*{run}", ended.err), ended
        assert "have `revert` write the manifest" in ended.err
    assert not gateway.frames


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_row_of_a_file_may_say_where_its_interaction_is_expected(
    gateway: Gateway, harness: Harness, kind: str
):
    """Also without preflight: what is elsewhere is skipped."""
    here, gone = transfer(), transfer()
    waiting(gateway, here, gone)
    gateway.interactions[gone["interaction_id"]].destination_uri = ELSEWHERE
    rows = [each | {"expected_destination_uri": BEFORE} for each in (here, gone)]
    lines = [json.dumps(row) for row in rows]
    if kind == "csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    (harness.folder / f"rows.{kind}").write_text("\n".join(lines) + "\n")
    result = harness.apply(manifest(gateway, [{"from": f"rows.{kind}"}]))
    assert result.outcomes() == {
        here["interaction_id"]: "transferred",
        gone["interaction_id"]: "skipped",
    }
