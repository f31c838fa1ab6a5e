"""What a killed run leaves unfinished: removed by the next, and nothing else is."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway

HEX = "0123456789abcdef"


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half", encoding="utf-8")
    return path


def test_the_next_run_removes_what_a_killed_one_left(gateway: Gateway, harness: Harness):
    batch, journal = harness.folder / "reports" / "batch", harness.folder / ".runner"
    temporary = harness.folder / "tmp"
    dead = batch / "20261126T211602Z-d4b7f3"
    left = [
        touched(dead / f".report.html.{HEX}.tmp"),
        touched(batch / f".probe.{HEX}.tmp"),
        touched(journal / "foreign.db.01234567.new"),
        touched(journal / "foreign.db.01234567.new-journal"),
        touched(temporary / "runner-abcd_123" / "scratch.db"),
        touched(temporary / "runner-abcd_123" / "scratch.db-submission" / "rows" / "a.csv"),
    ]
    link = batch / f".latest.{HEX}.tmp"
    link.symlink_to("x")
    for path in (link, temporary / "runner-abcd_123"):
        os.utime(path, (1, 1), follow_symlinks=False)
    kept = [
        touched(dead / ".report.html.tmp"),
        touched(dead / "report.html"),
        touched(batch / f"report.html.{HEX}.tmp"),
        touched(batch / "mine" / f".report.html.{HEX}.tmp"),
        touched(journal / "other.db.01234567.new"),
        touched(journal / "foreign.db.new"),
        touched(temporary / "runner-abcd_124" / "notes.txt"),
    ]
    harness.env["TMPDIR"] = str(temporary)
    applied = harness.apply(manifest(gateway, [transfer()]))
    assert applied.code == 0, applied.ended
    assert [path for path in [*left, link] if path.exists() or path.is_symlink()] == []
    assert [path for path in kept if not path.exists()] == []


def test_what_a_live_process_writes_is_left_alone(gateway: Gateway, harness: Harness):
    """Another journal's run may share the report folder, and the one for temporary files."""
    file = touched(harness.folder / "reports" / "batch" / f".audit.jsonl.{HEX}.tmp")
    scratch = touched(harness.folder / "tmp" / "runner-abcd_123" / "scratch.db")
    os.utime(scratch.parent, (1, 1))
    harness.env["TMPDIR"] = str(harness.folder / "tmp")
    held = [os.open(path, os.O_RDONLY) for path in (file, scratch.parent)]
    try:
        for descriptor in held:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert harness.apply(manifest(gateway, [transfer()])).code == 0
        assert file.exists()
        assert scratch.exists()
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_a_plan_written_anew_removes_what_its_killed_writer_left(
    gateway: Gateway, harness: Harness
):
    path = harness.write(manifest(gateway, [transfer()]))
    mine, other = (touched(harness.folder / f".{n}.json.{HEX}.tmp") for n in ("plan", "other"))
    assert harness.run("plan", path, "--out", "plan.json").code == 0
    assert not mine.exists()
    assert other.exists()
