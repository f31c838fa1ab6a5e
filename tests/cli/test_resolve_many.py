"""`runner resolve` of many: each journalled by itself, all of them checked first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE

STATED = ("--as", "failed", "--reason", "looked up")


def leave_doubts(gateway: Gateway, harness: Harness) -> str:
    """Leave `vip-1`, `vip-2` and `b` in doubt, and carry out `good`; return the run."""
    transfers = [transfer(key=key) for key in ("vip-1", "vip-2", "b", "good")]
    for each in transfers[:3]:
        gateway.scripts[each["interaction_id"]] = [MUTE]
    applied = harness.apply(manifest(gateway, transfers))
    assert applied.code == 6
    assert applied.report.summary["in_doubt"] == 3
    run: str = applied.report.run["id"]
    return run


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Harness, str]:
    """Leave doubts that several tests try to settle, and none settles."""
    folder = tmp_path_factory.mktemp("left")
    harness = Harness(folder, {"XDG_STATE_HOME": str(folder / "state")})
    with Gateway() as gateway:
        return harness, leave_doubts(gateway, harness)


def resolved(harness: Harness, run: str, *options: str, code: int = 0) -> dict[str, Any]:
    ended = harness.run("resolve", run, *options, "--manifest", "batch.yaml", "--output", "json")
    assert ended.code == code, ended
    document: dict[str, Any] = json.loads(ended.out)
    return document


def test_a_pattern_all_or_a_file_settle_many_each_by_an_event_of_its_own(
    gateway: Gateway, harness: Harness
):
    run = leave_doubts(gateway, harness)
    dry = resolved(harness, run, "--all", *STATED, "--dry-run")
    assert (dry["dry_run"], len(dry["resolved"]), dry["doubts_left"]) == (True, 3, 3)
    others = resolved(harness, run, "--only", "[^v]*", *STATED, "--dry-run")
    assert [each["key"] for each in others["resolved"]] == ["b"]
    some = resolved(harness, run, "--only", "vip-*", *STATED)
    assert [each["key"] for each in some["resolved"]] == ["vip-1", "vip-2"]
    assert (some["dry_run"], some["doubts_left"]) == (False, 1)
    (harness.folder / "verdicts.csv").write_text(
        "key,verdict,reason\nb,transferred,seen by Ada\nvip-1,failed,once more\n"
    )
    dry = resolved(harness, run, "--from", "verdicts.csv", "--dry-run", code=1)
    assert [each["key"] for each in dry["refused"]] == ["vip-1"]
    rest = resolved(harness, run, "--from", "verdicts.csv", code=1)
    assert [each["outcome"] for each in rest["resolved"]] == ["transferred"]
    assert [each["key"] for each in rest["refused"]] == ["vip-1"]
    assert rest["doubts_left"] == 0
    audit = harness.run("audit", "verify", run, "--manifest", "batch.yaml")
    assert audit.code == 0
    assert resolved(harness, run, "--all", *STATED)["resolved"] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--all",), "--as and --reason are needed"),
        (("--all", "--only", "b", *STATED), "choose one of KEY, --all, --only and --from"),
        (("b", "--all", *STATED), "choose one of"),
        (("--only", "x*", *STATED), "--only x* matches nothing"),
        (("--from", "verdicts.csv", *STATED), "leave --as and --reason out"),
        (STATED, "which transfer"),
        ((), "which transfer"),
        (("--from", "none.csv"), "cannot be read"),
        (("--all", "--as", "failed", "--reason", " "), "is empty"),
    ],
)
def test_options_that_do_not_go_together_settle_nothing(
    left: tuple[Harness, str], options: tuple[str, ...], said: str
):
    harness, run = left
    ended = harness.run("resolve", run, *options, "--manifest", "batch.yaml")
    assert ended.code == 2, ended
    assert said in " ".join(ended.err.split())
    assert resolved(harness, run, "--all", *STATED, "--dry-run")["doubts_left"] == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key,verdict\nb,failed\n", "no column `reason`"),
        ("key,verdict,reason\nb,failed,seen\nvip-1,maybe,seen\n", "verdicts.csv:3: the verdict"),
        ("key,verdict,reason\nb,failed,seen\nvip-1,failed,\n", "verdicts.csv:3: the reason"),
        ("key,verdict,reason\nb,failed,seen\nb,transferred,seen\n", "two verdicts on b"),
        ("key,verdict,reason\nb,failed,seen\nvip-9,failed,seen\n", "no key vip-9"),
        ('key,verdict,reason\nb,failed,"seen\n', "is not CSV"),
    ],
)
def test_a_file_with_one_bad_verdict_settles_nothing(
    left: tuple[Harness, str], text: str, said: str
):
    harness, run = left
    (harness.folder / "verdicts.csv").write_text(text)
    ended = harness.run("resolve", run, "--from", "verdicts.csv", "--manifest", "batch.yaml")
    assert ended.code == 2, ended
    assert said in " ".join(ended.err.split())
    assert resolved(harness, run, "--all", *STATED, "--dry-run")["doubts_left"] == 3
